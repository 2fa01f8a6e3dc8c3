"""Federated averaging on LoRA whose clients correct their steps by control variates."""
