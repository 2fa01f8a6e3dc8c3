"""Federated averaging of one factor of LoRA, the other frozen everywhere."""
