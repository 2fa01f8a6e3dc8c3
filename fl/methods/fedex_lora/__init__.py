"""Averaged factors of LoRA, and what averaging loses added to the frozen weights."""
