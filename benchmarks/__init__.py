"""Speed and memory, as ratios against a named reference of the same run; never science."""
