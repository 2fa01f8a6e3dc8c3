"""Tools for those who work on the code: its import graph, and the picture drawn from it."""
