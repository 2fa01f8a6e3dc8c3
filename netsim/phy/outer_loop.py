"""Outer-loop link adaptation (OLLA): a margin that acknowledgements steer to the error target."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt, Interval
from jaxtyping import Bool, Float, Int

from netsim.phy.harq import ROUND_TRIP_SLOTS


@dataclass(frozen=True, kw_only=True)
class OuterLoop:
    """Steps and limits of the margin that is taken off the measured SINR.

    Step size is our choice: acknowledgements come a round trip late, and steps that are not small
    against 1 dB / round trip overshoot. With 1 dB (Sionna's default, acknowledged at once there) a
    delay of 8 slots costs a quarter of the rate over Rayleigh fading; 0.1 dB costs 1 %.
    """

    target_block_error: Annotated[float, Interval(gt=0, lt=1)] = 0.1
    """Share of first transmissions that may fail."""
    step_up_db: Annotated[float, Gt(0)] = 0.1
    """Growth of the margin after a failure [dB]."""
    limit_db: Annotated[float, Gt(0)] = 20.0
    """The margin stays within plus and minus this [dB]; Sionna's default."""

    @property
    def step_down_db(self) -> float:
        """Shrinkage after a success [dB]: in balance at the target, up / down = (1 - p) / p."""
        return self.step_up_db * self.target_block_error / (1 - self.target_block_error)

    def step_db(
        self,
        *,
        is_received: Bool[np.ndarray, "*link"],
        is_lowest: Bool[np.ndarray, "*link"],
        is_highest: Bool[np.ndarray, "*link"],
    ) -> Float[np.ndarray, "*link"]:
        """Give the change of margin [dB] that a first transmission asks for.

        Nothing after a failure of the lowest MCS or a success of the highest: a margin that cannot
        change the MCS would run away to its limit (anti-windup, our choice).

        Parameters
        ----------
        is_received
            Whether the block was right.
        is_lowest, is_highest
            Whether it was sent with the most robust or the fastest MCS.
        """
        success_db = np.where(is_highest, 0.0, -self.step_down_db)
        failure_db = np.where(is_lowest, 0.0, self.step_up_db)
        return np.where(is_received, success_db, failure_db)


class OuterLoopBank:
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
