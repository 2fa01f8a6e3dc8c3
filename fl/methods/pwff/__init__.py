"""Shared adapters and personal LoRA, aligned to the client's own rewards."""
