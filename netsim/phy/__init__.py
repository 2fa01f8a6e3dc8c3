"""The physical layer of NR in pure functions: resource grid, MCS, block errors, power control."""
