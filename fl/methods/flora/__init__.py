"""Stacked low-rank adaptations of any rank, merged into the weights every round."""
