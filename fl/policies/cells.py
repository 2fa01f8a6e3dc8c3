"""Clients by the cell that serves them."""

import numpy as np
from jaxtyping import Int


def by_cell(cell_id: Int[np.ndarray, " client"]) -> list[Int[np.ndarray, " of_cell"]]:
    """Return the places of the clients of each cell, ascending by cell, then by place.

    Examples
    --------
    >>> [places.tolist() for places in by_cell(np.array([4, -1, 4]))], by_cell(np.array([]))
    ([[1], [0, 2]], [])
    """
    # A stable sort of 16-bit integers is several times as fast, and there are not so many cells.
    is_short = len(cell_id) and np.abs(cell_id).max() < 2**15
    key = cell_id.astype(np.int16) if is_short else cell_id
    order = np.argsort(key, kind="stable")
    edges = np.flatnonzero(np.diff(cell_id[order])) + 1
    return np.split(order, edges) if len(order) else []
