"""Federated averaging of LoRA, one factor in turn."""
