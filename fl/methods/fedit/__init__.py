"""Federated averaging of one low-rank adaptation."""
