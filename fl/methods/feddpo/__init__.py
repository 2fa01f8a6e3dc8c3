"""Direct preference optimisation of LoRA, averaged."""
