"""Texts of a client that its steps do not train on, for what it works out after them."""

import numpy as np
from jaxtyping import Int

Texts = Int[np.ndarray, " text"]


def part_held_out(samples: Texts, *, share: float, most: int) -> tuple[Texts, Texts]:
    """Part the texts of a shard: the same way in every job, as no draw is involved.

    Parameters
    ----------
    samples
        Texts of the shard, at least one.
    share
        Part of them that is held out, in (0, 1); rounded, and at least one text.
    most
        Most texts that are held out, at least 1.

    Returns
    -------
    held_out, trained
        At even distances over the shard, and the others; of a shard of one text, both are that one.

    Examples
    --------
    >>> part_held_out(np.arange(10), share=0.2, most=9)
    (array([0, 5]), array([1, 2, 3, 4, 6, 7, 8, 9]))
    """
    num_texts = len(samples)
    if num_texts == 1:
        return samples, samples
    count = min(max(round(share * num_texts), 1), most, num_texts - 1)
    places = np.arange(count) * num_texts // count
    return samples[places], np.delete(samples, places)
