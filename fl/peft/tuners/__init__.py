"""Our tuners in peft's form: settings, layers, models."""
