"""The wait for the last retransmissions of a transfer, which ends when its last block is decoded.

The flow engine counts retransmissions as a loss of rate. That is right but for the end: a block in
error is sent again a round trip later, and when it is one of the last, its transfer has nothing
else to send in between. The wait is a few slots, whatever the size.

The last blocks are followed one by one, as the slot engine does: MCS by the fade measured before
each, error rate by the fades that its transmissions meet. The margin is the one at which cells
start the outer loop: in the few blocks of a transfer that is short enough for the wait to matter,
it moves little.
"""

import math

import numpy as np
from jaxtyping import Float

from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.harq import ROUND_TRIP_SLOTS
from netsim.phy_abstraction.air_interface import AirInterface


def failure_probabilities(
    air: AirInterface,
    errors: BlockErrorTable,
    *,
    mean_sinr: float,
    known_fade: Float[np.ndarray, " block"],
    fade: Float[np.ndarray, "transmission block"],
    blocks: float,
    is_uplink: bool,
) -> Float[np.ndarray, "transmission block"]:
    """Return the probability that blocks are in error after 1, 2, ... transmissions.

    Parameters
    ----------
    air
        Constants of the band.
    errors
        Error rates of long blocks.
    mean_sinr
        Effective SINR without fading, linear.
    known_fade
        Power gain of the fading measured before the first transmission of each block.
    fade
        That during each of its transmissions, should it be made.
    blocks
        Resource blocks held, on average.
    is_uplink
        Whether the direction is uplink.
    """
    adaptation = air.uplink_adaptation if is_uplink else air.downlink_adaptation
    lengths = air.uplink_lengths if is_uplink else air.downlink_lengths
    held = np.full(len(known_fade), min(max(round(blocks), 1), air.num_blocks))
    sinr = np.array([mean_sinr])
    margin_db = adaptation.settled_margin_db(lengths.equivalent_sinr(sinr, held[:1]))
    mcs = lengths.mcs_index(sinr * known_fade * 10.0 ** (-0.1 * margin_db), held)
    combined = (sinr * fade / lengths.factor(mcs, held)).cumsum(axis=0)
    error = errors.lookup(combined.ravel(), np.tile(mcs, len(fade))).reshape(fade.shape)
    return error.cumprod(axis=0)


def wait_slots(
    failure: Float[np.ndarray, "transmission block"],
    *,
    slots_apart: float,
    level: Float[np.ndarray, " block"],
) -> float:
    """Return how much later than by its mean rate a transfer ends [slot].

    Parameters
    ----------
    failure
        From :func:`failure_probabilities`, of the last block, the one before, and so on: as many as
        a round trip has (:func:`blocks_a_round_trip`), or as the transfer has.
    slots_apart
        From one of its blocks to the next, >= 1.
    level
        Uniform draws in [0, 1). A block is in error as many times as there are failure
        probabilities above its level.

    Notes
    -----
    A block that is decoded after the last new one is so ``r`` round trips after its first
    transmission, in the next of the slots that the transfer has. Of the time until the last of
    them, as much as these retransmissions themselves take is in the mean rate already. Blocks that
    are never decoded are neglected.
    """
    round_trip = blocks_a_round_trip(slots_apart)
    is_error = failure > level
    if not np.count_nonzero(is_error):
        return 0.0
    times = is_error.sum(axis=0)
    is_sent_again = times > 0
    last = (times * round_trip - np.arange(len(times)))[is_sent_again].max()
    return max(float(last - times.sum()), 0.0) * slots_apart


def blocks_a_round_trip(slots_apart: float) -> int:
    """Return the blocks that a transfer sends until a retransmission is due.

    Examples
    --------
    >>> blocks_a_round_trip(1.0), blocks_a_round_trip(2.5)
    (8, 4)
    """
    return math.ceil(ROUND_TRIP_SLOTS / slots_apart - 1e-9)
