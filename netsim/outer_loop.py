"""Outer-loop link adaptation (OLLA): a margin that acknowledgements steer to the error target."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Gt, Interval
from jaxtyping import Float, Int

from netsim.link_adaptation import RateTable


@dataclass(frozen=True, kw_only=True)
class OuterLoop:
    """Steps and limits of the margin that is taken off the reported SINR."""

    target_block_error: Annotated[float, Interval(gt=0, lt=1)] = 0.1
    """Share of first transmissions that may fail."""
    step_up_db: Annotated[float, Gt(0)] = 1.0
    """Growth of the margin after a failure [dB]; Sionna's default."""
    limit_db: Annotated[float, Gt(0)] = 20.0
    """The margin stays within plus and minus this [dB]."""

    @property
    def step_down_db(self) -> float:
        """Shrinkage after a success [dB]: in balance at the target, up / down = (1 - p) / p."""
        return self.step_up_db * self.target_block_error / (1 - self.target_block_error)

    def next_margin_db(
        self, margin_db: Float[np.ndarray, "*link"], *, is_received: np.ndarray
    ) -> Float[np.ndarray, "*link"]:
        """Give the margin after one first transmission of each link."""
        moved_db = np.where(is_received, margin_db - self.step_down_db, margin_db + self.step_up_db)
        return np.clip(moved_db, -self.limit_db, self.limit_db)


class OuterLoopTrace(NamedTuple):
    """What a simulated outer loop did, slot by slot."""

    is_error: np.ndarray
    """True where the first transmission failed, (slot, link)."""
    margin_db: Float[np.ndarray, "slot link"]
    """Margin in use [dB]."""
    mcs_index: Int[np.ndarray, "slot link"]
    """MCS in use."""


def simulate_outer_loop(
    rng: np.random.Generator,
    loop: OuterLoop,
    *,
    table: RateTable,
    reported_sinr_linear: Float[np.ndarray, "slot link"],
    true_sinr_linear: Float[np.ndarray, "slot link"],
) -> OuterLoopTrace:
    """Run the loop over slots in which every link sends one new block.

    Parameters
    ----------
    rng
        Decides which blocks fail.
    loop
        Steps and limits.
    table
        Gives the MCS for a SINR and the error rate of an MCS.
    reported_sinr_linear
        SINR the scheduler believes in, late or biased.
    true_sinr_linear
        SINR the block meets.

    Notes
    -----
    Over a long run the share of failures is the target, whatever the bias, as long as the margin
    stays within its limits and the MCS is neither the lowest nor the highest.
    """
    num_slots, num_links = true_sinr_linear.shape
    uniform = rng.random((num_slots, num_links))
    margin_db = np.zeros(num_links)
    trace = OuterLoopTrace(
        np.empty((num_slots, num_links), dtype=bool),
        np.empty((num_slots, num_links)),
        np.empty((num_slots, num_links), dtype=np.intp),
    )
    for slot in range(num_slots):
        index = table.mcs_index(reported_sinr_linear[slot] * 10.0 ** (-margin_db / 10))
        is_error = uniform[slot] < table.block_error(true_sinr_linear[slot], index)
        trace.is_error[slot], trace.margin_db[slot] = is_error, margin_db
        trace.mcs_index[slot] = index
        margin_db = loop.next_margin_db(margin_db, is_received=~is_error)
    return trace
