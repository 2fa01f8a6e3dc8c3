"""Server modes: when the server aggregates."""
