"""Log of where clients with transfers are and which cell serves them, for a replay of a run.

A row is noted when a client connects, when its serving cell changes while it is connected, and when
a transfer ends. A row that repeats the last one of its client is left out. So there are at most two
rows a transfer and one for each change of cell, and for a client that stands still only one for
each change of cell. Clients without transfers have no rows and cost nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from netsim.transport.transfers import TransferRow
from netsim.world.layout import NO_CELL, Layout
from netsim.world.population import Population

DECIMALS = 3
"""Decimals of lengths in metres: a millimetre, so that a row is short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRow:
    """One row of ``positions.csv``; between two rows of a client its serving cell is the same."""

    at_s: float
    client_id: int
    x_m: float
    y_m: float
    cell_id: int
    """Serving cell from now on, -1 for none; at the end of a transfer, the one until now."""
    distance_m: float | None
    """Ground distance to the site of that cell, with wrap-around to its nearest copy; ``None``
    without a cell."""


class PositionLog:
    """Notes rows of positions until they are taken.

    Parameters
    ----------
    population
        Positions of clients.
    layout
        Sites and cells.
    now_s
        Gives the simulated time [s].
    """

    def __init__(
        self, population: Population, layout: Layout, *, now_s: Callable[[], float]
    ) -> None:
        self._population = population
        self._layout = layout
        self._now_s = now_s
        self._last: dict[int, tuple[float, float, int]] = {}
        self._rows: list[PositionRow] = []

    def note(
        self, client_ids: Int[np.ndarray, " client"], cell_ids: Int[np.ndarray, " client"]
    ) -> None:
        """Note clients whose serving cell is another from now on, or that have just connected."""
        self._note(client_ids, cell_ids, at_s=self._now_s())

    def note_end(self, row: TransferRow) -> None:
        """Note the client of a transfer that ends."""
        if not self._population.is_moving and not self._is_other(row.client_id, row.cell_id):
            return
        self._note(np.array([row.client_id]), np.array([row.cell_id]), at_s=row.finished_at_s)

    def take(self) -> list[PositionRow]:
        """Return the rows noted since the last call, in order of time."""
        rows, self._rows = self._rows, []
        return rows

    def _is_other(self, client_id: int, cell_id: int) -> bool:
        """Return whether the last row of a client, if any, is of another cell."""
        last = self._last.get(client_id)
        return last is None or last[2] != cell_id

    def _note(
        self,
        client_ids: Int[np.ndarray, " client"],
        cell_ids: Int[np.ndarray, " client"],
        *,
        at_s: float,
    ) -> None:
        if not self._population.is_moving:
            is_other = list(map(self._is_other, client_ids.tolist(), cell_ids.tolist()))
            if not any(is_other):
                return
            client_ids, cell_ids = client_ids[is_other], cell_ids[is_other]
        if not len(client_ids):
            return
        position_m = self._population.positions_m(client_ids, at_s=at_s)
        site_id = self._layout.cell_site_id[np.maximum(cell_ids, 0)]
        distance_m = self._layout.distance_to_m(position_m, site_id)
        columns = zip(
            client_ids.tolist(),
            np.round(position_m, DECIMALS).tolist(),
            cell_ids.tolist(),
            np.round(distance_m, DECIMALS).tolist(),
            strict=True,
        )
        for client_id, (x_m, y_m), cell_id, reach_m in columns:
            if self._last.get(client_id) != (x_m, y_m, cell_id):
                self._last[client_id] = (x_m, y_m, cell_id)
                self._rows.append(
                    PositionRow(
                        at_s=at_s,
                        client_id=client_id,
                        x_m=x_m,
                        y_m=y_m,
                        cell_id=cell_id,
                        distance_m=None if cell_id == NO_CELL else reach_m,
                    )
                )
