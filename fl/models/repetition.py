"""How much of a text repeats itself."""

from itertools import pairwise


def repeated_fraction(text: str) -> float:
    """Return the share of a text's pairs of neighbouring words that were there before, in [0, 1].

    Case does not count; a text of fewer than two words repeats nothing.

    Examples
    --------
    >>> repeated_fraction("the cat and the cat"), repeated_fraction("cat")
    (0.25, 0.0)
    """
    pairs = list(pairwise(text.lower().split()))
    return 1.0 - len(set(pairs)) / len(pairs) if pairs else 0.0
