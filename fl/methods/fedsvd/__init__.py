"""Federated averaging of one factor of LoRA, the other renewed from the product."""
