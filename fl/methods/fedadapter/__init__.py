"""Federated averaging of bottleneck adapters."""
