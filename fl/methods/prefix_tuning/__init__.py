"""Federated averaging of prefixes of every attention layer."""
