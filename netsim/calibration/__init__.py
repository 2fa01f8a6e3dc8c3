"""Calibration of the large-scale model against the companies' results in 3GPP RP-180524."""
