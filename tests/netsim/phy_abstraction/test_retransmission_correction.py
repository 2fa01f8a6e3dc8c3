"""Blocks in flight while fade and margin move: against drawing, and against standing still."""

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
from netsim.phy_abstraction.goodput import Contention, DelayedKnowledge, KnownChannel, Reserve
from netsim.phy_abstraction.harq_simulation import (
    NUM_STEPS,
    FadingTraces,
    gathered,
    sample_fading_traces,
    simulate_harq,
)
from netsim.phy_abstraction.retransmission_correction import (
    MANY_CONTENDERS,
    WARM_UP_STEPS,
    RetransmissionCorrection,
)

RATES = RateTable()
DOPPLER_HZ, SLOT_S, DELAY_SLOTS = 9.73, 0.5e-3, 2
ROOM = 11.0
BAND = np.zeros(1)


def still(*, has_outer_loop):
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


def draw(fade, sinr, blocks, outer_loop):
    """Send blocks in every slot, with the bank and the loop of the slot engine.

    Give the goodput over the elements of one block, and the share of first copies.
    """
    num_slots, num_links = sinr.shape
    bank, errors, rows = HarqProcesses(1), BlockErrorTable(RATES), np.arange(num_links)
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
            blocks=blocks[slot],
            mcs=mcs,
            size_bits=RATES.mcs.spectral_efficiency[mcs] * blocks[slot],
        )
        met = sinr[slot] * fade[slot + DELAY_SLOTS] / fade[slot]
        error = errors.lookup(bank.combine(attempt, blocks=blocks[slot], sinr=met), attempt.mcs)
        bits = bank.settle(attempt, slot=slot, error=error, may_retransmit=np.ones(num_links, bool))
        if loop:
            new = ~attempt.is_retransmission
            loop.report(
                attempt.rows[new],
                is_received=bits[new] > 0,
                is_lowest=attempt.mcs[new] == 0,
                is_highest=attempt.mcs[new] == 28,
            )
        if slot >= WARM_UP_STEPS * ROUND_TRIP_SLOTS:
            received += bits.sum()
            first += (~attempt.is_retransmission).sum()
            sent += num_links
    return received / sent, first / sent


@pytest.mark.parametrize("mean_db", [-12.0, -9.0, -3.0, 6.0])
@pytest.mark.parametrize("outer_loop", [None, OuterLoop()], ids=["inner", "outer"])
def test_followed_probabilities_are_what_drawing_comes_to(mean_db, outer_loop):
    """Of the same fades: bits within 0.5 %, 1.5 % where the margin scatters about its mean."""
    fade = fades_by_slot(4000, 60)
    known, met = fade[: -8 - DELAY_SLOTS], fade[DELAY_SLOTS:-8]
    efficiency = still(has_outer_loop=outer_loop is not None).efficiency
    mean = 10.0 ** (mean_db / 10)
    played = simulate_harq(
        RATES,
        efficiency,
        mean=np.array([[mean]]),
        room=np.array([[ROOM]]),
        fades=FadingTraces(known[::ROUND_TRIP_SLOTS], met[::ROUND_TRIP_SLOTS]),
        outer_loop=outer_loop,
    )
    counted = slice(WARM_UP_STEPS, -4)
    blocks = mean * ROOM * known[::ROUND_TRIP_SLOTS] / played.sinr[:, 0]
    promised = (blocks * played.bits[:, 0])[counted].mean()
    sinr = gathered(efficiency, mean * known, np.array(ROOM))
    drawn, first = draw(fade, sinr, mean * ROOM * known / sinr, outer_loop)
    assert drawn == pytest.approx(promised, rel=0.015 if outer_loop else 0.005)
    assert first == pytest.approx(played.first_share[counted].mean(), abs=0.005)


def fades_of(num_contenders):
    return sample_fading_traces(
        Rayleigh(0),
        doppler_hz=DOPPLER_HZ,
        offset_hz=BAND,
        delay_s=DELAY_SLOTS * SLOT_S,
        slot_s=SLOT_S,
        num_contenders=num_contenders,
    )


@pytest.fixture(scope="module", params=[None, OuterLoop()], ids=["inner", "outer"])
def tables(request):
    loop = request.param
    known, met = fades_of(1)
    base = still(has_outer_loop=loop is not None)
    moving = RetransmissionCorrection(
        base, RATES, fades=FadingTraces(known, met), outer_loop=loop, most_blocks=51
    )
    return base, moving, known, met, loop


@pytest.mark.parametrize("mean_db", [-15.0, -11.0, -6.0, 0.0, 11.0])
@pytest.mark.parametrize("room", [1.0, 11.0])
def test_table_keeps_the_mean_of_what_was_played_out(tables, mean_db, room):
    base, moving, known, met, loop = tables
    mean = 10.0 ** (mean_db / 10)
    played = simulate_harq(
        RATES,
        base.efficiency,
        mean=np.array([[mean]]),
        room=np.array([[room]]),
        fades=FadingTraces(known, met),
        outer_loop=loop,
    )
    counted = slice(WARM_UP_STEPS, NUM_STEPS - 4)
    fade, sinr = known[counted], played.sinr[counted, 0]
    reserve = Reserve(mean * room * fade / sinr, np.full(fade.shape, room))
    efficiency, transmissions = moving.outcome(sinr, fade, reserve=reserve)
    expected = (reserve.now * played.bits[counted, 0]).mean()
    assert (reserve.now * efficiency).mean() == pytest.approx(expected, rel=0.015)
    first = played.first_share[counted].mean()
    assert (1 / transmissions).mean() == pytest.approx(first, abs=0.01)


def test_moving_fades_cost_most_where_most_blocks_are_repeated(tables):
    """Power gathered from 11 blocks, Rayleigh: nothing to speak of above 0 dB, 8 % at -12 dB."""
    base, moving, known, *_ = tables
    lost = []
    for mean_db in (-12.0, -9.0, -6.0, 6.0):
        spread = 10.0 ** (mean_db / 10) * known
        sinr = gathered(base.efficiency, spread, np.array(ROOM))
        reserve = Reserve(ROOM * spread / sinr, np.full(sinr.shape, ROOM))
        rates = [
            (reserve.now * model.outcome(sinr, known, reserve=reserve)[0]).mean()
            for model in (base, moving)
        ]
        lost.append(1 - rates[1] / rates[0])
    assert lost == sorted(lost, reverse=True)
    assert lost[0] == pytest.approx(0.09, abs=0.02)
    assert abs(lost[-1]) < 0.015


def test_nothing_moves_means_nothing_lost():
    """No fading, no loop: the table is the model it corrects, whatever the reserve."""
    base = KnownChannel(RATES, has_outer_loop=False)
    ones = np.ones((NUM_STEPS, 2))
    moving = RetransmissionCorrection(
        base, RATES, fades=FadingTraces(ones, ones), outer_loop=None, most_blocks=8
    )
    sinr = 10.0 ** (np.arange(-8.0, 30.0, 2.0) / 10)
    found = moving.outcome(sinr, np.ones(len(sinr)))
    np.testing.assert_allclose(found[0], base.outcome(sinr, np.ones(1))[0], rtol=0.002)
    np.testing.assert_allclose(found[1], base.outcome(sinr, np.ones(1))[1], rtol=0.002)
    assert moving.efficiency(sinr) == pytest.approx(base.efficiency(sinr))


def test_winners_have_the_fades_of_maxima():
    """The largest of four exponential gains has mean 1 + 1/2 + 1/3 + 1/4."""
    every, winners = (fades_of(number) for number in (1, MANY_CONTENDERS))
    assert every.known.shape == winners.known.shape
    assert every.known.mean() == pytest.approx(1.0, abs=0.1)
    assert winners.known.mean() == pytest.approx(25 / 12, abs=0.1)
    # A maximum tends to fall until it is met, by little in a millisecond.
    assert 0.97 < winners.met.mean() / winners.known.mean() < 1.0


def test_who_contends_repeats_in_the_next_good_time():
    """At -15 dB a block that fails as the peak passes is lost alone, not among contenders."""
    base = still(has_outer_loop=True)
    alone, among = (fades_of(number) for number in (1, MANY_CONTENDERS))
    moving = RetransmissionCorrection(
        base, RATES, fades=alone, contended=among, outer_loop=OuterLoop(), most_blocks=51
    )
    fade = among.known[WARM_UP_STEPS:]
    sinr = gathered(base.efficiency, 10.0**-1.5 * fade, np.array(25.0))
    reserve = Reserve(10.0**-1.5 * 25.0 * fade / sinr, np.full(sinr.shape, 25.0))
    bits = [
        (
            reserve.now
            * moving.outcome(sinr, fade, Contention(np.array([number]), np.zeros(1)), reserve)[0]
        ).mean()
        for number in (1, 2, MANY_CONTENDERS, 40)
    ]
    assert bits[0] * 1.03 < bits[2]
    assert bits[1] == pytest.approx((bits[0] + bits[2]) / 2)  # two are half of many
    assert bits[2] == bits[3]
    played = simulate_harq(
        RATES,
        base.efficiency,
        mean=np.array([[10.0**-1.5]]),
        room=np.array([[25.0]]),
        fades=among,
        outer_loop=OuterLoop(),
    )
    counted = slice(WARM_UP_STEPS, NUM_STEPS - 4)
    room = 10.0**-1.5 * 25.0 * among.known / played.sinr[:, 0]
    assert bits[2] == pytest.approx((room * played.bits[:, 0])[counted].mean(), rel=0.03)
