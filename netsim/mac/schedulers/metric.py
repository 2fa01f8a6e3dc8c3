"""Schedulers that serve, in each group, the transfer with the largest metric."""

import numpy as np
from jaxtyping import Bool, Float, Int

TIE_RTOL = 1e-9
"""Metrics this close count as equal: two clients with the same channel share a group."""

TIE_BREAK = 1e-6
"""Relative distance put between averages of successive transfers, to break ties.

In a real cell no two averages stay equal, so a scheduler that looks at them serves one transfer
after another, not several at once: with limited power that is a difference. A scheduler with
``is_exclusive`` says so itself and needs no help, unless its users leave blocks to others: then the
order in which they do so counts."""

ONE_CELL = np.zeros(1, dtype=np.intp)


def serve_largest(
    metric: Float[np.ndarray, "transfer group"],
    cell_start: Int[np.ndarray, " cell"] = ONE_CELL,
    cell: Int[np.ndarray, " transfer"] | None = None,
) -> Float[np.ndarray, "transfer group"]:
    """Return the shares that give each group of a cell to the transfer with the largest metric.

    Parameters
    ----------
    metric
        Not NaN. Transfers of one cell stand together. Ties share a group equally.
    cell_start
        Index of the first transfer of each cell.
    cell
        Cell of each transfer, for callers that have it; follows from ``cell_start``.

    Examples
    --------
    >>> serve_largest(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[0.0, 0.5], [1.0, 0.5]]
    """
    if cell is None:
        cell = np.arange(len(cell_start)).repeat(np.diff(cell_start, append=len(metric)))
    largest = np.maximum.reduceat(metric, cell_start)
    is_served = metric >= _tied_with(largest).take(cell, axis=0)
    if np.count_nonzero(is_served) == largest.size:
        return is_served.astype(float)  # no ties
    return is_served / np.add.reduceat(is_served, cell_start, dtype=np.intp)[cell]


def serve_largest_of(
    chosen: Bool[np.ndarray, " transfer"],
    metric: Float[np.ndarray, "transfer group"],
    cell_start: Int[np.ndarray, " cell"],
    cell: Int[np.ndarray, " transfer"],
) -> Float[np.ndarray, "transfer group"]:
    """Return :func:`serve_largest` among the chosen transfers; zeros for all others."""
    is_chosen = chosen[:, np.newaxis]
    among = np.where(is_chosen, metric, -np.inf)
    largest = np.maximum.reduceat(among, cell_start)
    is_served = (among >= _tied_with(largest).take(cell, axis=0)) & is_chosen
    if np.count_nonzero(is_served) == np.count_nonzero(largest > -np.inf):
        return is_served.astype(float)  # no ties
    num_served = np.add.reduceat(is_served, cell_start, dtype=np.intp)
    return is_served / np.maximum(num_served, 1)[cell]


def _tied_with(largest: Float[np.ndarray, "cell group"]) -> Float[np.ndarray, "cell group"]:
    """Return the least metric that counts as equal to the largest, of either sign."""
    return largest * (1 - np.copysign(TIE_RTOL, largest))
