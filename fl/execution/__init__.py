"""Where training jobs run."""
