"""Rules across settings, and settings without effect; checked once, before anything is built."""
