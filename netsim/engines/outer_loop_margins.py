"""Margins of outer-loop link adaptation for many transfers at once."""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.phy.harq import ROUND_TRIP_SLOTS
from netsim.phy.outer_loop import OuterLoop


class OuterLoopMargins:
    """Margins of many transfers, rows aligned with those of the active transfers.

    A margin starts at 0: the measurement is old but has no bias, so the start is within an MCS of
    where the loop settles. What a transmission teaches counts from a round trip later.

    Parameters
    ----------
    loop
        Steps and limits.
    """

    def __init__(self, loop: OuterLoop) -> None:
        self._loop = loop
        self.margin_db = np.empty(0)
        """Margin of each transfer [dB]."""
        self._underway_db = np.empty((ROUND_TRIP_SLOTS, 0))
        self._slot = 0

    def append(self) -> None:
        """Add a row for a new transfer."""
        self.margin_db = np.append(self.margin_db, 0.0)
        self._underway_db = np.pad(self._underway_db, ((0, 0), (0, 1)))

    def remove(self, is_gone: Bool[np.ndarray, " transfer"]) -> None:
        """Drop rows."""
        self.margin_db = self.margin_db[~is_gone]
        self._underway_db = self._underway_db[:, ~is_gone]

    def listen(self, slot: int) -> None:
        """Take in the acknowledgements that have arrived by a slot; slots never go back."""
        limit_db = self._loop.limit_db
        for arrived in range(max(self._slot, slot - ROUND_TRIP_SLOTS) + 1, slot + 1):
            moved_db = self._underway_db[arrived % ROUND_TRIP_SLOTS]
            self.margin_db += moved_db
            moved_db[:] = 0.0
        np.minimum(self.margin_db, limit_db, out=self.margin_db)
        np.maximum(self.margin_db, -limit_db, out=self.margin_db)
        self._slot = slot

    def corrected(
        self, rows: Int[np.ndarray, " some"], sinr_linear: Float[np.ndarray, " some"]
    ) -> Float[np.ndarray, " some"]:
        """Give measured SINRs less the margins of some transfers."""
        return sinr_linear * 10.0 ** (-0.1 * self.margin_db[rows])

    def report(
        self,
        rows: Int[np.ndarray, " sender"],
        *,
        is_received: Bool[np.ndarray, " sender"],
        is_lowest: Bool[np.ndarray, " sender"],
        is_highest: Bool[np.ndarray, " sender"],
    ) -> None:
        """Send off the acknowledgements of first transmissions made in the slot last listened to.

        Parameters
        ----------
        rows
            Who sent a new block; each at most once.
        is_received, is_lowest, is_highest
            As in :meth:`OuterLoop.step_db`.
        """
        self._underway_db[self._slot % ROUND_TRIP_SLOTS, rows] = self._loop.step_db(
            is_received=is_received, is_lowest=is_lowest, is_highest=is_highest
        )
