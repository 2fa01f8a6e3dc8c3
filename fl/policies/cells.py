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
    order = np.argsort(cell_id, kind="stable")
    edges = np.flatnonzero(np.diff(cell_id[order])) + 1
    return np.split(order, edges) if len(order) else []
