"""Local training: a job in, an update out; what it costs; how it is evaluated."""
