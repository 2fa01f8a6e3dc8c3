"""Statistics, tables and figures from result folders; never runs a simulation."""
