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
    is_served: Bool[np.ndarray, "transfer group"] = metric >= largest[cell] * (1 - TIE_RTOL)
    return is_served / np.add.reduceat(is_served, cell_start, dtype=np.intp)[cell]


def serve_largest_of(
    chosen: Bool[np.ndarray, " transfer"],
    metric: Float[np.ndarray, "transfer group"],
    cell_start: Int[np.ndarray, " cell"],
    cell: Int[np.ndarray, " transfer"],
) -> Float[np.ndarray, "transfer group"]:
    """Return :func:`serve_largest` among the chosen transfers; zeros for all others."""
    among = np.where(chosen[:, np.newaxis], metric, -np.inf)
    return serve_largest(among, cell_start, cell) * chosen[:, np.newaxis]
