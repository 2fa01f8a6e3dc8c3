"""Texts of a federation: where they come from and who holds which."""
