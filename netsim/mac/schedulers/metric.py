"""Schedulers that serve, in each group, the transfer with the largest metric."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

TIE_RTOL = 1e-9
"""Metrics this close count as equal: two clients with the same channel share a group."""

ONE_CELL = np.zeros(1, dtype=np.intp)


@runtime_checkable
class HasMetric(Protocol):
    """A scheduler whose shares are those of :func:`serve_largest` for this metric."""

    def metric(
        self,
        group_rate_bps: Float[np.ndarray, "transfer group"],
        average_rate_bps: Float[np.ndarray, " transfer"],
    ) -> Float[np.ndarray, "transfer group"]:
        """Return the metric of each transfer in each group, from its own rates only."""
        ...


def serve_largest(
    metric: Float[np.ndarray, "transfer group"],
    cell_start: Int[np.ndarray, " cell"] = ONE_CELL,
) -> Float[np.ndarray, "transfer group"]:
    """Return the shares that give each group of a cell to the transfer with the largest metric.

    Parameters
    ----------
    metric
        Not NaN. Transfers of one cell stand together. Ties share a group equally.
    cell_start
        Index of the first transfer of each cell.

    Examples
    --------
    >>> serve_largest(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[0.0, 0.5], [1.0, 0.5]]
    """
    largest = np.maximum.reduceat(metric, cell_start)
    cell = np.arange(len(cell_start)).repeat(np.diff(cell_start, append=len(metric)))
    is_served: Bool[np.ndarray, "transfer group"] = metric >= largest[cell] * (1 - TIE_RTOL)
    return is_served / np.add.reduceat(is_served, cell_start, dtype=np.intp)[cell]
