"""Hybrid ARQ with chase combining: mean number of transmissions and residual error rate."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MAX_TRANSMISSIONS = 4
"""Usual limit of NR schedulers: one first transmission and three retransmissions."""

ROUND_TRIP_SLOTS = 8
"""From a transmission to its retransmission; about 8 to 10 slots with NR schedulers (5G-LENA)."""


class HarqOutcome(NamedTuple):
    """Mean outcome of a transport block."""

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
    """Return the outcome of sending a block until it is decoded or the limit is reached.

    SINRs of the transmissions add up: attempt q has the error rate of ``q x sinr`` (two equal
    transmissions gain 3.01 dB). Attempts fail independently, so ``E[tx] = 1 + p1 + p1 p2 + ...``
    and the residual error is ``p1 p2 ... pm``.

    Parameters
    ----------
    block_error
        Error rate of one attempt as a function of the combined SINR.
    sinr_linear
        SINR of one transmission, linear.
    max_transmissions
        Largest number of transmissions, >= 1.

    References
    ----------
    Chase combining as in the 5G-LENA manual: SINRs of all transmissions summed, same MCS, same
    error curve.
    """
    if max_transmissions < 1:
        msg = f"max_transmissions: must be >= 1, got {max_transmissions}"
        raise ValueError(msg)
    error = np.ones(np.shape(sinr_linear))
    mean_transmissions = np.zeros(np.shape(sinr_linear))
    for attempt in range(1, max_transmissions + 1):
        mean_transmissions = mean_transmissions + error
        error = error * block_error(attempt * sinr_linear)
    return HarqOutcome(mean_transmissions, error)
