"""Models of a federation: pretrained encoders, their tokens, their parts."""
