"""Calibration: the simulator's large-scale model against the companies of 3GPP RP-180524."""
