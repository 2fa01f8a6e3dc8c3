"""Drawing clients with unequal chances, and taking the best ones."""

import numpy as np
from jaxtyping import Float, Int


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
    Sorting by ``exponential / weight`` gives this distribution: the smallest of exponential waits
    is that of a row in proportion to its rate, and the others start anew [D].
    """
    waits = rng.exponential(size=len(weights))
    with np.errstate(divide="ignore"):
        keys = np.where(weights > 0, waits / weights, np.inf)
    return np.argsort(keys, kind="stable")[:count]


def highest(scores: Float[np.ndarray, " client"], count: int) -> Int[np.ndarray, " best"]:
    """Return the rows of the highest scores, best first; of equals the first rows."""
    return np.argsort(-scores, kind="stable")[:count]
