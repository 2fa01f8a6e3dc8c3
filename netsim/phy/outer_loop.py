"""Outer-loop link adaptation (OLLA): a margin that acknowledgements steer to the error target."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt, Interval
from jaxtyping import Bool, Float


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
