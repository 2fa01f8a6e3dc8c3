"""Drawing clients with unequal chances, taking the best ones, and ordering them."""

import numpy as np
from jaxtyping import Float, Int, Real


def draw_weighted(
    weights: Float[np.ndarray, " client"], count: int, *, rng: np.random.Generator
) -> Int[np.ndarray, " drawn"]:
    """Draw rows one after another without replacement, each time in proportion to the weights left.

    Rows of weight 0 come last, in order.

    Parameters
    ----------
    weights
        Of each row, >= 0 and finite.
    count
        How many, at most as many as there are rows.
    rng
        Draws one number a row.

    Notes
    -----
    Of exponential waits with the weights as rates, the first to end is a row in proportion to its
    weight, and the others then start anew: the order of the ends is that of such draws.
    """
    waits = rng.exponential(size=len(weights))
    ends = np.divide(waits, weights, out=np.full(len(weights), np.inf), where=weights > 0)
    return lowest(ends, count=count)


def lowest(
    keys: Real[np.ndarray, " client"], *ties: Real[np.ndarray, " client"], count: int
) -> Int[np.ndarray, " best"]:
    """Return the rows of the lowest keys, the lowest first; only these are sorted.

    Parameters
    ----------
    keys
        Of each row; none is NaN.
    ties
        What decides between equal keys: the first of them, then the next; the lower comes first.
        In the end the first row does.
    count
        How many rows, at most as many as there are.
    """
    if count <= 0:
        return np.empty(0, dtype=np.int64)
    last = np.partition(keys, count - 1)[count - 1]
    rows = np.flatnonzero(keys <= last)
    order = np.lexsort((*(each[rows] for each in reversed(ties)), keys[rows]))
    return rows[order[:count]]


def stable_order(keys: Real[np.ndarray, " client"]) -> Int[np.ndarray, " client"]:
    """Return the rows by ascending keys; of equal keys the first row comes first.

    An unstable sort is several times as fast; then rows of equal keys are put in order.

    Parameters
    ----------
    keys
        Of each row; none is NaN.
    """
    order = np.argsort(keys)
    ascending = keys[order]
    is_tie = ascending[1:] == ascending[:-1]
    if is_tie.any():
        is_tied = np.append(is_tie, False) | np.append(False, is_tie)
        # Ascending by run of equal keys, then by row.
        run = np.append(0, np.cumsum(~is_tie))[is_tied]
        order[is_tied] = np.sort(run * len(keys) + order[is_tied]) % len(keys)
    return order
