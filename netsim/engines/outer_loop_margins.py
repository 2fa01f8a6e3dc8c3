"""Margins of outer-loop link adaptation for many transfers at once."""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.phy.harq import ROUND_TRIP_SLOTS
from netsim.phy.outer_loop import OuterLoop
from netsim.slot_arrays import SlotArrays


class OuterLoopMargins(SlotArrays):
    """Margins of many transfers, rows aligned with those of the active transfers.

    A margin starts at 0: the measurement is old but has no bias, so the start is within an MCS of
    where the loop settles. The acknowledgement of a transmission counts a round trip later.

    Parameters
    ----------
    loop
        Steps and limits.
    """

    margin_db: Float[np.ndarray, " transfer"]
    """Margin of each transfer [dB]."""
    _pending_db: Float[np.ndarray, "transfer delay"]
    """Steps whose acknowledgements have not arrived yet, by the slot in which they do."""

    def __init__(self, loop: OuterLoop) -> None:
        super().__init__(margin_db=0.0, _pending_db=np.zeros(ROUND_TRIP_SLOTS))
        self._loop = loop
        self._slot = 0

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
