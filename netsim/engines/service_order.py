"""Which transfers on the air may have blocks now, and until when that holds by itself."""

import math

import numpy as np
from jaxtyping import Int

from netsim.rrc.links import Links
from netsim.transport.active_transfers import ActiveTransfers
from netsim.world.layout import NO_CELL

NO_ROWS: Int[np.ndarray, " none"] = np.zeros(0, dtype=np.intp)


class ServiceOrder:
    """Rows of the transfers that may be served, by direction, cell, bearer, transfer.

    Parameters
    ----------
    active, links
        Transfers on the air, and the links of their clients.
    """

    def __init__(self, active: ActiveTransfers, links: Links) -> None:
        self._active = active
        self._links = links
        self._rows = NO_ROWS
        self._version = (-1, -1)
        self.until_s = -np.inf
        """When time changes the rows, by a deadline or the end of an interruption [s]."""

    def rows(self, now_s: float) -> Int[np.ndarray, " served"]:
        """Return the rows that may have blocks now: the same array as long as nothing changes."""
        version = self._active.version, self._links.version
        if version != self._version or now_s >= self.until_s:
            self._version = version
            self._find(now_s)
        return self._rows

    def _find(self, now_s: float) -> None:
        if not len(self._active):
            self._rows, self.until_s = NO_ROWS, np.inf
            return
        record, links = self._active.records, self._links
        if len(record) == 1:
            self._find_alone(record[0], now_s)
            return
        slot, deadline_at_s = record["slot"], record["deadline_at_s"]
        cell_id = links.cell_id[slot]
        starts_at_s = np.maximum(links.resume_at_s[slot], record["ready_at_s"])
        is_waiting = starts_at_s > now_s
        is_served = (cell_id != NO_CELL) & ~is_waiting & (deadline_at_s > now_s)
        is_served &= np.isinf(record["ends_at_s"])
        order = np.lexsort(
            (record["transfer_id"], record["bearer_id"], cell_id, record["direction"])
        )
        self._rows = order[is_served[order]]
        self.until_s = min(
            float(deadline_at_s.min()), float(starts_at_s[is_waiting].min(initial=np.inf))
        )

    def _find_alone(self, record: np.void, now_s: float) -> None:
        """Find the same for the only transfer: arrays of one are slow."""
        slot, deadline_at_s = record["slot"], float(record["deadline_at_s"])
        starts_at_s = float(max(self._links.resume_at_s[slot], record["ready_at_s"]))
        is_waiting = starts_at_s > now_s
        has_cell = self._links.cell_id[slot] != NO_CELL
        is_sending = deadline_at_s > now_s and math.isinf(record["ends_at_s"])
        is_served = has_cell and is_sending and not is_waiting
        self._rows = np.arange(1) if is_served else np.arange(0)
        self.until_s = min(deadline_at_s, starts_at_s) if is_waiting else deadline_at_s
