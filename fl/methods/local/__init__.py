"""Training alone: the reference point that exchanges nothing."""
