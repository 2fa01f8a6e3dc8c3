"""Federated averaging of tensor-train adapters, most factors frozen in each round."""
