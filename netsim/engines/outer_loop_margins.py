"""Margins of outer-loop link adaptation for many transfers at once, and between transfers."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.phy.harq import ROUND_TRIP_SLOTS
from netsim.phy.outer_loop import OuterLoop
from netsim.slot_arrays import SlotArrays

REMEMBERED_S = 10.0
"""Time after a transfer for which its cell remembers the margin of a client [s]: that of a usual
inactivity timer, after which the cell releases the client and what it knows of it. Our choice."""


class Server(NamedTuple):
    """The cell that serves a client in a direction; a margin belongs to one."""

    client_id: int
    direction: int
    cell_id: int


class OuterLoopMargins(SlotArrays):
    """Margins of many transfers, rows aligned with those of the active transfers.

    The acknowledgement of a transmission counts a round trip later. A transfer that a cell begins
    to serve, at its start or after a handover, goes on with the margin that the cell remembers of
    the client, else it starts at an initial margin (:meth:`start`).

    Parameters
    ----------
    loop
        Steps and limits.
    remembered_slots
        Slots after a transfer for which its cell remembers the margin.
    """

    margin_db: Float[np.ndarray, " transfer"]
    """Margin of each transfer [dB]."""
    _pending_db: Float[np.ndarray, "transfer delay"]
    """Steps whose acknowledgements have not arrived yet, by the slot in which they do."""
    _server: Int[np.ndarray, "transfer 3"]
    """Client, direction and cell of each (:class:`Server`), -1 before the first slot."""

    def __init__(self, loop: OuterLoop, *, remembered_slots: int = 0) -> None:
        super().__init__(
            margin_db=0.0, _pending_db=np.zeros(ROUND_TRIP_SLOTS), _server=np.full(3, -1)
        )
        self._loop = loop
        self._slot = 0
        self._remembered_slots = remembered_slots
        self._memory: dict[tuple[int, int], tuple[int, int, float]] = {}
        """By client and direction: cell, last slot and margin [dB] of the last transfer."""

    def keep(self, is_kept: Bool[np.ndarray, " transfer"]) -> None:
        """Drop all other rows; cells remember their margins for a while."""
        for row in np.flatnonzero(~is_kept & (self._server[:, 2] >= 0)):
            server = Server(*self._server[row].tolist())
            self._memory[server[:2]] = (server.cell_id, self._slot, float(self.margin_db[row]))
        super().keep(is_kept)

    def is_started(
        self, rows: Int[np.ndarray, " some"], cell_id: Int[np.ndarray, " some"]
    ) -> Bool[np.ndarray, " some"]:
        """Return whether the margins of some transfers are those of these cells."""
        return self._server[rows, 2] == cell_id

    def start(
        self,
        rows: Int[np.ndarray, " some"],
        servers: list[Server],
        *,
        initial_db: Float[np.ndarray, " some"],
    ) -> None:
        """Start the margins of transfers that their cells begin to serve.

        Parameters
        ----------
        rows
            The transfers.
        servers
            Who serves them from now on.
        initial_db
            Margin of each client that its cell does not remember [dB].
        """
        for row, server, initial in zip(rows.tolist(), servers, initial_db.tolist(), strict=True):
            cell_id, slot, margin_db = self._memory.get(server[:2], (-1, 0, 0.0))
            is_remembered = cell_id == server.cell_id
            is_remembered &= self._slot - slot <= self._remembered_slots
            self.margin_db[row] = margin_db if is_remembered else initial
            self._server[row] = server
            self._pending_db[row] = 0.0

    def listen(self, slot: int) -> None:
        """Apply the acknowledgements that have arrived by a slot; slots never go back."""
        limit_db = self._loop.limit_db
        for arrived in range(max(self._slot, slot - ROUND_TRIP_SLOTS) + 1, slot + 1):
            moved_db = self._pending_db[:, arrived % ROUND_TRIP_SLOTS]
            self.margin_db += moved_db
            moved_db[:] = 0.0
        np.minimum(self.margin_db, limit_db, out=self.margin_db)
        np.maximum(self.margin_db, -limit_db, out=self.margin_db)
        self._slot = slot

    def corrected(
        self, rows: Int[np.ndarray, " some"], sinr_linear: Float[np.ndarray, " some"]
    ) -> Float[np.ndarray, " some"]:
        """Return measured SINRs less the margins of some transfers."""
        return sinr_linear * 10.0 ** (-0.1 * self.margin_db[rows])

    def report(
        self,
        rows: Int[np.ndarray, " sender"],
        *,
        is_received: Bool[np.ndarray, " sender"],
        is_lowest: Bool[np.ndarray, " sender"],
        is_highest: Bool[np.ndarray, " sender"],
    ) -> None:
        """Take the outcome of first transmissions in the slot last listened to.

        Parameters
        ----------
        rows
            Transfers that sent a new block; each at most once.
        is_received, is_lowest, is_highest
            As in :meth:`OuterLoop.step_db`.
        """
        self._pending_db[rows, self._slot % ROUND_TRIP_SLOTS] = self._loop.step_db(
            is_received=is_received, is_lowest=is_lowest, is_highest=is_highest
        )
