"""Outer-loop link adaptation (OLLA): an SINR margin that ACKs and NACKs drive to a BLER target."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt, Interval
from jaxtyping import Bool, Float


@dataclass(frozen=True, kw_only=True)
class OuterLoop:
    """Steps and limits of the margin that is subtracted from the measured SINR.

    The step size is our choice: acknowledgements arrive a round trip late, and steps that are not
    small against 1 dB per round trip overshoot. With 1 dB (the default of Sionna, where they arrive
    at once) a delay of 8 slots costs a quarter of the rate over Rayleigh fading; 0.1 dB costs 1 %.
    """

    target_block_error: Annotated[float, Interval(gt=0, lt=1)] = 0.1
    """Target BLER of first transmissions."""
    step_up_db: Annotated[float, Gt(0)] = 0.1
    """Increase of the margin after a NACK [dB]."""
    limit_db: Annotated[float, Gt(0)] = 20.0
    """The margin stays within plus and minus this [dB]; the default of Sionna."""

    @property
    def step_down_db(self) -> float:
        """Decrease of the margin after an ACK [dB]; up / down = (1 - p) / p at the target p."""
        return self.step_up_db * self.target_block_error / (1 - self.target_block_error)

    def step_db(
        self,
        *,
        is_received: Bool[np.ndarray, "*link"],
        is_lowest: Bool[np.ndarray, "*link"],
        is_highest: Bool[np.ndarray, "*link"],
    ) -> Float[np.ndarray, "*link"]:
        """Return the change of the margin [dB] after a first transmission.

        It is 0 after a NACK of the lowest MCS and after an ACK of the highest: there the margin
        cannot change the MCS and would drift to its limit (anti-windup, our choice).

        Parameters
        ----------
        is_received
            Whether the block was decoded.
        is_lowest, is_highest
            Whether it was sent with the most robust or the fastest MCS in use.
        """
        success_db = np.where(is_highest, 0.0, -self.step_down_db)
        failure_db = np.where(is_lowest, 0.0, self.step_up_db)
        return np.where(is_received, success_db, failure_db)
