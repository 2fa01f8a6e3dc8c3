"""An own LoRA at every client beside the mean of those of all others, mixed by the token."""
