"""Federated averaging of all weights."""
