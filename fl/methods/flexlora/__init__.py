"""Low-rank adaptations of any rank, averaged as products and decomposed anew."""
