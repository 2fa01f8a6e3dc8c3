"""Federated averaging of biases."""
