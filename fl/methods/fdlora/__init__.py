"""Two low-rank adaptations a client, one shared and one its own, fused by search."""
