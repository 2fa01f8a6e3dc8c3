"""Hybrid ARQ with chase combining: how often a block is sent, and what is left in error."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MAX_TRANSMISSIONS = 4
"""Usual limit of NR schedulers: one transmission and three repetitions."""

ROUND_TRIP_SLOTS = 8
"""From a transmission to its repetition; NR schedulers need about 8 to 10 slots (5G-LENA)."""


class HarqOutcome(NamedTuple):
    """What becomes of a block, on average."""

    mean_transmissions: Float[np.ndarray, "..."]
    """Expected number of transmissions, from 1 to the limit."""
    residual_error: Float[np.ndarray, "..."]
    """Probability that the block is still in error after the last one."""


def chase_combining(
    block_error: Callable[[Float[np.ndarray, "..."]], Float[np.ndarray, "..."]],
    sinr_linear: Float[np.ndarray, "..."],
    *,
    max_transmissions: int = MAX_TRANSMISSIONS,
) -> HarqOutcome:
    """Give the outcome of sending a block until it is received.

    Copies add up in SINR: attempt q meets the error rate at ``q x sinr`` (two equal copies are
    3.01 dB). Attempts fail independently, so ``E[tx] = 1 + p1 + p1 p2 + ...`` and the residual is
    ``p1 p2 ... pm``.

    Parameters
    ----------
    block_error
        Error rate of one attempt as a function of the combined SINR.
    sinr_linear
        SINR of one copy, linear.
    max_transmissions
        Copies sent at most, >= 1.

    References
    ----------
    Chase combining as in the 5G-LENA manual: per-copy SINRs summed, same MCS, same error curve.
    """
    if max_transmissions < 1:
        msg = f"max_transmissions: must be >= 1, got {max_transmissions}"
        raise ValueError(msg)
    still_wrong = np.ones(np.shape(sinr_linear))
    mean_transmissions = np.zeros(np.shape(sinr_linear))
    for attempt in range(1, max_transmissions + 1):
        mean_transmissions = mean_transmissions + still_wrong
        still_wrong = still_wrong * block_error(attempt * sinr_linear)
    return HarqOutcome(mean_transmissions, still_wrong)
