"""Federated averaging of the classification head alone."""
