"""A running sum that does not round: it is the same in whatever order its numbers come."""

import math

MOST_TERMS = 24
"""Numbers that are kept before they are summed up."""


class ExactSum:
    """Sum of finite numbers, kept exactly and rounded once, when it is read.

    It is kept as numbers that are still to be summed. Where these are many, a few take their place:
    the sum rounded, the rest rounded, and so on until nothing is left. Each is a ``math.fsum``,
    which rounds once (Shewchuk, Adaptive precision floating-point arithmetic, 1997).
    """

    __slots__ = ("_terms",)

    def __init__(self) -> None:
        self._terms: list[float] = []

    def add(self, value: float) -> None:
        """Add a number; one that is added with the opposite sign is taken out without a trace."""
        terms = self._terms
        terms.append(value)
        if len(terms) > MOST_TERMS:
            few = []
            while rounded := math.fsum(terms):
                few.append(rounded)
                terms.append(-rounded)
            self._terms = few

    def value(self, *more: float) -> float:
        """Return the sum, rounded to the nearest number; with ``more``, theirs on top."""
        return math.fsum([*self._terms, *more])
