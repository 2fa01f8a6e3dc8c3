"""Privacy of clients against whoever sees the model: clipping, noise and its accounting."""
