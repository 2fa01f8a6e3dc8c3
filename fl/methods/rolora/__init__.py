"""Federated averaging of LoRA, one factor a round in turn."""
