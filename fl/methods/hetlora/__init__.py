"""Low-rank adaptations whose ranks differ and shrink, padded with zeros and averaged."""
