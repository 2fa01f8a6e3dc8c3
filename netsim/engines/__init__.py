"""The two engines that move transfers: flow (event by event) and slot (slot by slot)."""
