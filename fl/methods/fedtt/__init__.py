"""Federated averaging of tensor-train adapters."""
