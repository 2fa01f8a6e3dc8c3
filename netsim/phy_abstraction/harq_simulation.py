"""Simulation of HARQ processes on fading traces, with retransmissions and an outer loop.

A step is one HARQ round trip. A link has one HARQ process here; the others, in the slots between,
behave alike. Nothing is drawn: the simulation follows, for the blocks that begin at each step, the
probability that they are still in error and the SINR that they have accumulated. The margin of the
outer loop moves by its mean step.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from netsim.channel.receive_antennas import PowerGain
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.harq import MAX_TRANSMISSIONS, ROUND_TRIP_SLOTS
from netsim.phy.link_adaptation import RateTable
from netsim.phy.outer_loop import OuterLoop

NUM_LINKS, NUM_STEPS = 16, 450
"""Traces, and round trips of each: 29 s of fading with slots of 0.5 ms. Mean rates of tables made
from other traces differ by 0.3 %."""

WARM_UP_STEPS = 80
"""Round trips until the margin of the outer loop is in steady state; they are not evaluated."""

FASTEST_STEP = 8.0
"""Steps of the outer loop at the start of the warm-up, over its own; they fall to 1 in a straight
line. A margin of 9 dB (Rayleigh fading at 120 km/h) is then reached within the warm-up; with the
loop's own steps it takes 200 round trips."""


class FadingTraces(NamedTuple):
    """Power gains of links at instants one HARQ round trip apart."""

    known: Float[np.ndarray, "step link"]
    """Measured gain, by which the MCS is selected."""
    met: Float[np.ndarray, "step link"]
    """Gain during the transmission."""


def sample_fading_traces(
    fading: PowerGain,
    *,
    doppler_hz: float,
    offset_hz: Float[np.ndarray, " group"],
    delay_s: float,
    slot_s: float,
) -> FadingTraces:
    """Return power gains of links served in every slot, at measurement and at transmission.

    Parameters
    ----------
    fading
        The process; its seed decides the traces.
    doppler_hz
        Maximum Doppler frequency [Hz].
    offset_hz
        Centre of every resource-block group relative to the carrier [Hz]; gains are means over
        the groups.
    delay_s
        Age of the measurement at transmission [s].
    slot_s
        Duration of a slot [s].
    """
    at_s = np.arange(NUM_STEPS) * ROUND_TRIP_SLOTS * slot_s
    known, met = (
        fading.power_gain(
            np.repeat(np.arange(NUM_LINKS), NUM_STEPS),
            doppler_hz=np.full(NUM_LINKS * NUM_STEPS, doppler_hz),
            at_s=np.tile(at_s + age_s, NUM_LINKS),
            offset_hz=offset_hz,
        )
        .mean(axis=1)
        .reshape(NUM_LINKS, NUM_STEPS)
        .T
        for age_s in (0.0, delay_s)
    )
    return FadingTraces(known, met)


class HarqTraces(NamedTuple):
    """Expected outcome of the slots of fading traces, for several mean SINRs (``case``)."""

    bits: Float[np.ndarray, "step case link"]
    """Decoded bits per resource element of the blocks that begin in a slot."""
    first_share: Float[np.ndarray, "step case link"]
    """Probability that a slot begins a block, i.e. carries a first transmission."""
    margin_db: Float[np.ndarray, " case"]
    """Mean margin of the outer loop over the steps that are evaluated [dB]."""


def counted_steps(num_steps: int) -> slice:
    """Return the steps that are evaluated: the margin has settled, and their blocks can end."""
    return slice(WARM_UP_STEPS, num_steps - MAX_TRANSMISSIONS)


def simulate_harq(
    rates: RateTable,
    *,
    mean: Float[np.ndarray, "case 1"],
    fades: FadingTraces,
    outer_loop: OuterLoop | None,
) -> HarqTraces:
    """Simulate one HARQ process per link and mean SINR.

    Parameters
    ----------
    rates
        Error rates, and the MCS for a measured SINR.
    mean
        Mean SINR, linear.
    fades
        From :func:`sample_fading_traces`, or any other.
    outer_loop
        Its steps; ``None`` without one.
    """
    known, met = fades
    errors = BlockErrorTable(rates)
    shape = (len(mean), known.shape[1])
    bits, first_share = np.zeros((2, len(known), *shape))
    margin_db, margin_sum_db = np.zeros((2, *shape))
    counted = counted_steps(len(known))
    # Blocks in flight by number of transmissions so far, the latest first.
    age_limit = MAX_TRANSMISSIONS
    probability, energy = np.zeros((2, age_limit, *shape))
    mcs = np.zeros((age_limit, *shape), dtype=np.intp)
    lowest, highest = rates.mcs_in_use[0], rates.mcs_in_use[-1]
    for step in range(len(known)):
        begun = 1.0 - probability[:-1].sum(axis=0)
        selected = rates.mcs_index(mean * known[step] * 10.0 ** (-0.1 * margin_db))
        probability = np.concatenate([begun[None], probability[:-1]])
        energy = np.concatenate([np.zeros((1, *shape)), energy[:-1]])
        mcs = np.concatenate([selected[None], mcs[:-1]])
        energy += mean * met[step]
        error = errors.lookup(energy, mcs)
        failed = probability * error
        decoded = probability - failed
        first_share[step] = begun
        for age in range(min(age_limit, step + 1)):
            bits[step - age] += decoded[age] * rates.mcs.spectral_efficiency[mcs[age]]
        if outer_loop is not None:
            step_db = _mean_step_db(
                outer_loop,
                begun,
                error[0],
                is_lowest=selected == lowest,
                is_highest=selected == highest,
            )
            faster = FASTEST_STEP + (1.0 - FASTEST_STEP) * min(step / WARM_UP_STEPS, 1.0)
            margin_db = margin_db + faster * step_db
            margin_db = np.clip(margin_db, -outer_loop.limit_db, outer_loop.limit_db)
        if counted.start <= step < counted.stop:
            margin_sum_db += margin_db
        probability = failed
    num_counted = max(len(known[counted]), 1)
    margin_mean_db = margin_sum_db.mean(axis=1) / num_counted
    return HarqTraces(bits=bits, first_share=first_share, margin_db=margin_mean_db)


def _mean_step_db(
    outer_loop: OuterLoop,
    begun: Float[np.ndarray, "case link"],
    error: Float[np.ndarray, "case link"],
    *,
    is_lowest: Bool[np.ndarray, "case link"],
    is_highest: Bool[np.ndarray, "case link"],
) -> Float[np.ndarray, "case link"]:
    """Return the mean change of the margin over the slots of a round trip [dB]."""
    ack_db, nack_db = (
        outer_loop.step_db(
            is_received=np.full(error.shape, is_received),
            is_lowest=is_lowest,
            is_highest=is_highest,
        )
        for is_received in (True, False)
    )
    return ROUND_TRIP_SLOTS * begun * (ack_db * (1.0 - error) + nack_db * error)
