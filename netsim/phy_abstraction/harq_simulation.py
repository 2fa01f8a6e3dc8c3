"""HARQ processes on series of fades: blocks in flight while the fade and the margin move.

One step is a round trip of HARQ, so a link has one process here; the seven others of its slots are
alike. Probabilities are followed, nothing is drawn: what of the blocks begun at each step is still
wrong, and what energy it has gathered. The margin of the outer loop moves by its mean step.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from netsim.channel.fading import Fading
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.harq import MAX_TRANSMISSIONS, ROUND_TRIP_SLOTS
from netsim.phy.link_adaptation import RateTable
from netsim.phy.outer_loop import OuterLoop
from netsim.phy.power_headroom import FULL_RTOL, BestBitsPerWatt

NUM_LINKS, NUM_STEPS = 16, 450
"""Series played out, and round trips of each: 29 s of fading with slots of 0.5 ms. Tables of other
series then differ by 0.3 % in their mean rates."""


WARM_UP_STEPS = 50
"""Round trips until the margin has settled; they do not count."""


class FadingTraces(NamedTuple):
    """Power gains at the start of blocks, one HARQ round trip apart."""

    known: Float[np.ndarray, "step link"]
    """As measured: by them the scheduler chooses, and the MCS is chosen."""
    met: Float[np.ndarray, "step link"]
    """As met by the block."""


def sample_fading_traces(
    fading: Fading,
    *,
    doppler_hz: float,
    offset_hz: Float[np.ndarray, " group"],
    delay_s: float,
    slot_s: float,
    num_contenders: int = 1,
) -> FadingTraces:
    """Sample the fades at which links are served, as measured and, ``delay_s`` later, as met.

    Of links alike that contend, each group goes to the one that is best there, as proportional fair
    has it. A link then has blocks only in its good times, and what it repeats meets the next of
    these. Instants at which it has none are left out, so series are a link's turns, one after the
    other; where they are used up, those of the next link follow.

    Parameters
    ----------
    fading
        The process; its seed decides the samples.
    doppler_hz
        Largest Doppler frequency [Hz].
    offset_hz
        Centre of every resource-block group relative to the carrier [Hz]; fades are means over the
        groups held.
    delay_s
        Age of the measurement when it is used [s].
    slot_s
        Duration of a slot [s]; steps are a round trip of HARQ apart.
    num_contenders
        Links that contend, >= 1; alone, a link is served in every slot.
    """
    links = np.arange(NUM_LINKS * num_contenders)
    at_s = np.arange(NUM_STEPS) * ROUND_TRIP_SLOTS * slot_s
    measured, later = (
        fading.power_gain(
            np.repeat(links, NUM_STEPS),
            doppler_hz=np.full(len(links) * NUM_STEPS, doppler_hz),
            at_s=np.tile(at_s + age_s, len(links)),
            offset_hz=offset_hz,
        ).reshape(NUM_LINKS, num_contenders, NUM_STEPS, len(offset_hz))
        for age_s in (0.0, delay_s)
    )
    wins = measured == measured.max(axis=1, keepdims=True)
    num_held = wins.sum(axis=3)
    is_held = num_held > 0
    known, met = (
        ((wins * gain).sum(axis=3)[is_held] / num_held[is_held])[: NUM_LINKS * NUM_STEPS]
        .reshape(NUM_LINKS, NUM_STEPS)
        .T
        for gain in (measured, later)
    )
    return FadingTraces(known, met)


class Played(NamedTuple):
    """What came of the slots of a series; ``case`` are mean SINRs and rooms."""

    sinr: Float[np.ndarray, "step case link"]
    """As measured, on the blocks used."""
    bits: Float[np.ndarray, "step case link"]
    """Received of blocks begun in a slot, over the elements of a block of that size."""
    first_share: Float[np.ndarray, "step case link"]
    """Probability that a slot begins a block."""


def simulate_harq(
    rates: RateTable,
    efficiency: Callable[[np.ndarray], np.ndarray],
    *,
    mean: Float[np.ndarray, "case 1"],
    room: Float[np.ndarray, "case 1"],
    fades: FadingTraces,
    outer_loop: OuterLoop | None,
) -> Played:
    """Follow one HARQ process of each link and case from round trip to round trip.

    Parameters
    ----------
    rates
        Error rates, and the MCS for a measured SINR.
    efficiency
        What power headroom goes by, see :meth:`RetransmissionCorrection.efficiency`.
    mean
        Mean SINR with all blocks granted, linear.
    room
        SINR with the fewest blocks over that, >= 1.
    fades
        From :func:`sample_fading_traces`, or any other.
    outer_loop
        Its steps; ``None`` without one.
    """
    known, met = fades
    errors = BlockErrorTable(rates)
    sinr = gathered(efficiency, mean * known[:, None, :], room)
    per_fade = sinr / known[:, None, :]  # SINR of a block, of the size used now, at fade 1
    shape = sinr.shape[1:]
    first_share, bits = np.zeros(sinr.shape), np.zeros(sinr.shape)
    margin_db = np.zeros(shape)
    # Blocks in flight, by copies sent so far, the youngest first.
    copies = MAX_TRANSMISSIONS
    mass, energy, scale = (np.zeros((copies, *shape)) for _ in range(3))
    mcs = np.zeros((copies, *shape), dtype=np.intp)
    lowest, highest = rates.mcs_in_use[0], rates.mcs_in_use[-1]
    for step in range(len(known)):
        begun = 1.0 - mass[:-1].sum(axis=0)
        chosen = rates.mcs_index(sinr[step] * 10.0 ** (-0.1 * margin_db))
        mass = np.concatenate([begun[None], mass[:-1]])
        energy = np.concatenate([np.zeros((1, *shape)), energy[:-1]])
        scale = np.concatenate([per_fade[step][None], scale[:-1]])
        mcs = np.concatenate([chosen[None], mcs[:-1]])
        energy += met[step] * scale
        error = errors.lookup(energy, mcs)
        wrong = mass * error
        received = mass - wrong
        first_share[step] = begun
        for age in range(min(copies, step + 1)):
            bits[step - age] += received[age] * rates.mcs.spectral_efficiency[mcs[age]]
        if outer_loop is not None:
            margin_db = margin_db + _mean_step_db(
                outer_loop,
                begun,
                error[0],
                is_lowest=chosen == lowest,
                is_highest=chosen == highest,
            )
            margin_db = np.clip(margin_db, -outer_loop.limit_db, outer_loop.limit_db)
        mass = wrong
    return Played(sinr=sinr, bits=bits, first_share=first_share)


def gathered(
    efficiency: Callable[[np.ndarray], np.ndarray],
    spread: Float[np.ndarray, "step case link"],
    room: Float[np.ndarray, "case 1"],
) -> Float[np.ndarray, "step case link"]:
    """Return the SINR on the whole number of blocks used, from that with power spread over all.

    As :meth:`netsim.phy_abstraction.air_interface.AirInterface.used_whole_blocks` for clients that
    are at the limit of their power with one block. Who reaches it with more has finer steps than
    these.
    """
    reach = spread * room
    wanted = np.minimum(BestBitsPerWatt(efficiency).sinr(spread), reach)
    used = reach / np.maximum(wanted, spread)
    fewer = np.maximum(np.floor(used * (1 + FULL_RTOL)), 1.0)
    more = fewer + 1.0
    is_better = more * efficiency(reach / more) > fewer * efficiency(reach / fewer)
    whole = np.where(is_better & (more <= room), more, fewer)
    return reach / np.where(used >= room * (1 - FULL_RTOL), room, whole)


def _mean_step_db(
    outer_loop: OuterLoop,
    begun: Float[np.ndarray, "case link"],
    error: Float[np.ndarray, "case link"],
    *,
    is_lowest: Bool[np.ndarray, "case link"],
    is_highest: Bool[np.ndarray, "case link"],
) -> Float[np.ndarray, "case link"]:
    """Return the mean change of the margin over the slots of a round trip [dB]."""
    right, wrong = (
        outer_loop.step_db(
            is_received=np.full(error.shape, was), is_lowest=is_lowest, is_highest=is_highest
        )
        for was in (True, False)
    )
    return ROUND_TRIP_SLOTS * begun * (right * (1.0 - error) + wrong * error)
