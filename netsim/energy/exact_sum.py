"""A running sum that does not round: it is the same in whatever order its numbers come."""

import math


class ExactSum:
    """Sum of finite numbers, kept exactly and rounded once, when it is read.

    The sum is a short list of numbers without common bits (Shewchuk, Adaptive precision
    floating-point arithmetic, 1997, as in ``math.fsum``); adding one takes as many steps as the
    list is long, mostly two.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[float] = []

    def add(self, value: float) -> None:
        """Add a number; one that is added with the opposite sign is taken out without a trace."""
        parts, kept = self._parts, 0
        for part in parts:
            larger, smaller = (value, part) if abs(value) >= abs(part) else (part, value)
            value = larger + smaller
            lost = smaller - (value - larger)
            if lost:
                parts[kept] = lost
                kept += 1
        parts[kept:] = [value] if value else []

    def value(self, *more: float) -> float:
        """Return the sum, rounded to the nearest number; with ``more``, theirs on top."""
        return math.fsum([*self._parts, *more])
