"""Transfers from end to end: their records, completion, backhaul and site buffers."""
