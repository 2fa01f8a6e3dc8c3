"""From gain to bit rate."""
