"""Mixtures of LoRA experts, which the server deals to clients by their embeddings."""
