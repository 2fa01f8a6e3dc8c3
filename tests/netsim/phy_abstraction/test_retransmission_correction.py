"""Retransmissions over changing fades: against drawing, and against constant fades."""

import numpy as np
import pytest

from netsim.channel.doppler import jakes_correlation
from netsim.channel.fading import Rayleigh
from netsim.engines.harq_processes import HarqProcesses
from netsim.engines.outer_loop_margins import OuterLoopMargins
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.harq import ROUND_TRIP_SLOTS
from netsim.phy.link_adaptation import RateTable
from netsim.phy.outer_loop import OuterLoop
from netsim.phy_abstraction.goodput import DelayedKnowledge, KnownChannel
from netsim.phy_abstraction.harq_simulation import (
    NUM_LINKS,
    NUM_STEPS,
    WARM_UP_STEPS,
    FadingTraces,
    counted_steps,
    sample_fading_traces,
    simulate_harq,
)
from netsim.phy_abstraction.retransmission_correction import RetransmissionCorrection

RATES = RateTable()
DOPPLER_HZ, SLOT_S, DELAY_SLOTS = 9.73, 0.5e-3, 2
BAND = np.zeros(1)


def static_model(*, has_outer_loop):
    rho = jakes_correlation(DELAY_SLOTS * SLOT_S, doppler_hz=DOPPLER_HZ)
    return DelayedKnowledge(
        RATES, correlation=float(rho), fading_share=1.0, has_outer_loop=has_outer_loop
    )


def fades_by_slot(num_slots, num_links):
    """Rayleigh at walking speed (slot, link)."""
    gain = Rayleigh(3).power_gain(
        np.tile(np.arange(num_links), num_slots),
        doppler_hz=np.full(num_slots * num_links, DOPPLER_HZ),
        at_s=np.repeat(np.arange(num_slots) * SLOT_S, num_links),
        offset_hz=BAND,
    )
    return gain.reshape(num_slots, num_links)


def draw(fade, sinr, outer_loop):
    """Send a block in every slot, with the processes and the loop of the slot engine.

    Return the goodput over the elements of one block, and the share of first transmissions.
    """
    num_slots, num_links = sinr.shape
    bank, errors, rows = HarqProcesses(1), BlockErrorTable(RATES), np.arange(num_links)
    one = np.ones(num_links)
    loop = OuterLoopMargins(outer_loop) if outer_loop else None
    for link in rows:
        bank.append(int(link), 1e12)
        if loop:
            loop.add()
    received, first, sent = 0.0, 0, 0
    for slot in range(num_slots):
        measured = sinr[slot]
        if loop:
            loop.listen(slot)
            measured = loop.corrected(rows, measured)
        mcs = RATES.mcs_index(measured)
        attempt = bank.attempt(
            rows,
            slot=slot,
            blocks=one,
            mcs=mcs,
            size_bits=RATES.mcs.spectral_efficiency[mcs],
            needed_sinr=one,
        )
        met = sinr[slot] * fade[slot + DELAY_SLOTS] / fade[slot]
        error = errors.lookup(bank.combine(attempt, blocks=one, sinr=met), attempt.mcs)
        bits = bank.settle(attempt, slot=slot, error=error, may_retransmit=np.ones(num_links, bool))
        if loop:
            new = ~attempt.is_retransmission
            loop.report(
                attempt.rows[new],
                is_received=bits[new] > 0,
                is_lowest=attempt.mcs[new] == RATES.mcs_in_use[0],
                is_highest=attempt.mcs[new] == RATES.mcs_in_use[-1],
            )
        if slot >= WARM_UP_STEPS * ROUND_TRIP_SLOTS:
            received += bits.sum()
            first += (~attempt.is_retransmission).sum()
            sent += num_links
    return received / sent, first / sent


@pytest.mark.parametrize("mean_db", [-12.0, -9.0, -3.0, 6.0])
@pytest.mark.parametrize("outer_loop", [None, OuterLoop()], ids=["inner", "outer"])
def test_expected_outcomes_are_those_of_drawn_blocks(mean_db, outer_loop):
    """Of the same fades: bits within 0.5 %, 1.5 % where the margin scatters about its mean."""
    fade = fades_by_slot(4000, 60)
    known, met = fade[: -8 - DELAY_SLOTS], fade[DELAY_SLOTS:-8]
    mean = 10.0 ** (mean_db / 10)
    simulated = simulate_harq(
        RATES,
        mean=np.array([[mean]]),
        fades=FadingTraces(known[::ROUND_TRIP_SLOTS], met[::ROUND_TRIP_SLOTS]),
        outer_loop=outer_loop,
    )
    counted = counted_steps(len(known[::ROUND_TRIP_SLOTS]))
    expected = simulated.bits[counted, 0].mean()
    drawn, first = draw(fade, mean * known, outer_loop)
    assert drawn == pytest.approx(expected, rel=0.015 if outer_loop else 0.005)
    assert first == pytest.approx(simulated.first_share[counted].mean(), abs=0.005)


@pytest.fixture(scope="module", params=[None, OuterLoop()], ids=["inner", "outer"])
def tables(request):
    loop = request.param
    fades = sample_fading_traces(
        Rayleigh(0),
        doppler_hz=DOPPLER_HZ,
        offset_hz=BAND,
        delay_s=DELAY_SLOTS * SLOT_S,
        slot_s=SLOT_S,
    )
    static = static_model(has_outer_loop=loop is not None)
    corrected = RetransmissionCorrection(static, RATES, fades=fades, outer_loop=loop)
    return static, corrected, fades, loop


def test_traces_are_measured_a_millisecond_before_they_are_met(tables):
    known, met = tables[2]
    assert known.shape == met.shape == (NUM_STEPS, NUM_LINKS)
    assert known.mean() == pytest.approx(1.0, abs=0.1)
    rho = float(jakes_correlation(DELAY_SLOTS * SLOT_S, doppler_hz=DOPPLER_HZ))
    assert np.corrcoef(known.ravel(), met.ravel())[0, 1] == pytest.approx(rho**2, abs=1e-3)


@pytest.mark.parametrize("mean_db", [-15.0, -11.0, -6.0, 0.0, 11.0])
def test_table_keeps_the_mean_of_the_simulation(tables, mean_db):
    _, corrected, fades, loop = tables
    mean = 10.0 ** (mean_db / 10)
    simulated = simulate_harq(RATES, mean=np.array([[mean]]), fades=fades, outer_loop=loop)
    counted = counted_steps(NUM_STEPS)
    fade = fades.known[counted]
    efficiency, transmissions = corrected.outcome(mean * fade, fade)
    assert efficiency.mean() == pytest.approx(simulated.bits[counted].mean(), rel=0.015)
    first = simulated.first_share[counted].mean()
    assert (1 / transmissions).mean() == pytest.approx(first, abs=0.01)


def test_changing_fades_cost_most_where_most_blocks_are_retransmitted(tables):
    """Rayleigh at walking speed: 3.6 % of the rate at -12 dB, about 1 % above 0 dB."""
    static, corrected, fades, _ = tables
    lost = []
    for mean_db in (-12.0, -9.0, -6.0, 6.0):
        sinr = 10.0 ** (mean_db / 10) * fades.known
        rates = [model.outcome(sinr, fades.known)[0].mean() for model in (static, corrected)]
        lost.append(1 - rates[1] / rates[0])
    assert lost == sorted(lost, reverse=True)
    assert lost[0] == pytest.approx(0.036, abs=0.01)
    assert abs(lost[-1]) < 0.015


@pytest.mark.parametrize("bias_db", [-3.0, 0.0, 5.0])
def test_the_settled_margin_is_the_bias_of_the_measurement(bias_db):
    """Nothing fades: whatever the measured gain is too high by, the margin takes off."""
    ones = np.ones((NUM_STEPS, 2))
    plain, biased = (
        simulate_harq(
            RATES,
            mean=10.0 ** (np.array([[0.0], [10.0]]) / 10),
            fades=FadingTraces(10.0 ** (each_db / 10) * ones, ones),
            outer_loop=OuterLoop(),
        ).margin_db
        for each_db in (0.0, bias_db)
    )
    assert biased - plain == pytest.approx(bias_db, abs=0.1)
    assert np.abs(plain).max() < 1.5  # within an MCS


def test_margins_of_fast_fades_settle_within_the_warm_up():
    """Rayleigh at 120 km/h: the measured gain says nothing of the one that is met.

    Of two independent exponential gains one is less than a k-th of the other in 1 of k + 1 cases,
    so the target of 0.1 is met at k = 9, less what rounding down to an MCS gives for nothing.
    """
    fades = sample_fading_traces(
        Rayleigh(0), doppler_hz=389.0, offset_hz=BAND, delay_s=1e-3, slot_s=SLOT_S
    )
    mean = 10.0 ** (np.array([[9.0], [14.0]]) / 10)
    early, late = (
        simulate_harq(
            RATES,
            mean=mean,
            fades=FadingTraces(fades.known[:number], fades.met[:number]),
            outer_loop=OuterLoop(),
        ).margin_db
        for number in (WARM_UP_STEPS + 80, NUM_STEPS)
    )
    assert early == pytest.approx(late, abs=0.5)
    assert late == pytest.approx(10 * np.log10(9) - 0.5, abs=0.5)


def test_constant_fades_need_no_correction():
    """No fading, no outer loop: the table is the model that it corrects."""
    static = KnownChannel(RATES, has_outer_loop=False)
    ones = np.ones((NUM_STEPS, 2))
    corrected = RetransmissionCorrection(
        static, RATES, fades=FadingTraces(ones, ones), outer_loop=None
    )
    sinr = 10.0 ** (np.arange(-8.0, 30.0, 2.0) / 10)
    found = corrected.outcome(sinr, np.ones(len(sinr)))
    np.testing.assert_allclose(found[0], static.outcome(sinr, np.ones(1))[0], rtol=0.002)
    np.testing.assert_allclose(found[1], static.outcome(sinr, np.ones(1))[1], rtol=0.002)
    assert corrected.efficiency(sinr) == pytest.approx(static.efficiency(sinr))
