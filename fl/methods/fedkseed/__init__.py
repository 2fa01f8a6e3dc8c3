"""Zeroth-order training of all weights, of which seeds and step lengths travel."""
