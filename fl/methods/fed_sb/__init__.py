"""Federated averaging of small square matrices between fixed factors of LoRA."""
