"""Aged channel knowledge against its limits and against drawing."""

import numpy as np
import pytest

from netsim.channel.doppler import jakes_correlation
from netsim.channel.fading import Rayleigh
from netsim.engines.outer_loop_margins import OuterLoopMargins
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.link_adaptation import RateTable
from netsim.phy.outer_loop import OuterLoop
from netsim.phy_abstraction.goodput import DelayedKnowledge, KnownChannel
from netsim.streams import Purpose, stream

RATES = RateTable()
# On the table's grid of 0.25 dB, so that interpolation adds nothing.
SINR = 10.0 ** (np.arange(-10.0, 30.0, 0.25) / 10)


@pytest.mark.parametrize(
    "settings",
    [{"correlation": 1.0, "fading_share": 1.0}, {"correlation": 0.5, "fading_share": 0.0}],
)
@pytest.mark.parametrize("has_outer_loop", [False, True])
def test_nothing_changes_means_nothing_lost(settings, has_outer_loop):
    aged = DelayedKnowledge(RATES, **settings, has_outer_loop=has_outer_loop)
    rate, transmissions = aged.outcome(SINR, np.ones(len(SINR)))
    known = KnownChannel(RATES, has_outer_loop=has_outer_loop).outcome(SINR, np.ones(len(SINR)))
    np.testing.assert_allclose(rate, known[0], rtol=1e-6)
    np.testing.assert_allclose(transmissions, known[1], rtol=1e-6)


def test_without_outer_loop_a_known_channel_is_the_rate_table():
    known = KnownChannel(RATES, has_outer_loop=False)
    np.testing.assert_allclose(known.efficiency(SINR), RATES.spectral_efficiency(SINR), rtol=1e-6)


@pytest.mark.parametrize("target", [0.01, 0.1, 0.3])
def test_outer_loop_on_a_known_channel_sends_each_block_so_much_more(target):
    """A first transmission fails with the target probability, its second copy gets through."""
    known = KnownChannel(RateTable(target_block_error=target), has_outer_loop=True)
    sinr = 10.0 ** (np.arange(0.0, 18.0, 0.05) / 10)
    rate, transmissions = known.outcome(sinr, np.ones(1))
    np.testing.assert_allclose(transmissions, 1 + target, rtol=1e-3)
    assert np.diff(rate).min() > -1e-12


def test_outer_loop_between_two_mcs_uses_both():
    """At 9 dB MCS 16 never fails and MCS 18 always: one in ten is of the latter."""
    slower, faster = RATES.mcs.spectral_efficiency[[16, 18]]
    known = KnownChannel(RATES, has_outer_loop=True)
    found = known.efficiency(np.array([10**0.9]))[0]
    assert found == pytest.approx((0.9 * slower + 0.1 * faster) / 1.1, rel=1e-4)


def test_settled_loop_is_what_a_real_one_comes_to():
    """Bits a transmission over Rayleigh fading at 3 km/h, 2 slots late, played out with steps."""
    doppler_hz, mean = 9.73, 10.0 ** (12.0 / 10)
    fading, links, slots = Rayleigh(3), np.arange(30), 4000
    gain = fading.power_gain(
        np.tile(links, slots),
        doppler_hz=np.full(30 * slots, doppler_hz),
        at_s=np.repeat(np.arange(slots) * 0.5e-3, 30),
        offset_hz=np.zeros(1),
    ).reshape(slots, 30)
    bank, errors = OuterLoopMargins(OuterLoop()), BlockErrorTable(RATES)
    for _ in links:
        bank.add()
    uniform = stream(3, Purpose.BLOCK_ERROR, 1).random((slots, 30))
    received = sent = 0.0
    for slot in range(slots - 2):
        bank.listen(slot)
        met = mean * gain[slot + 2]
        mcs = RATES.mcs_index(bank.corrected(links, mean * gain[slot]))
        error = errors.lookup(met, mcs)
        bank.report(
            links, is_received=uniform[slot] >= error, is_lowest=mcs == 0, is_highest=mcs == 28
        )
        if slot >= 500:
            still = np.ones(30)
            copies = np.zeros(30)
            for attempt in range(1, 5):
                copies += still
                still = still * errors.lookup(attempt * met, mcs)
            received += (RATES.mcs.spectral_efficiency[mcs] * (1 - still) / copies).sum()
            sent += 30
    rho = jakes_correlation(1e-3, doppler_hz=doppler_hz)
    aged = DelayedKnowledge(RATES, correlation=float(rho), fading_share=1.0, has_outer_loop=True)
    told = gain[500 : slots - 2]
    promised = aged.outcome(mean * told, told)[0].mean()
    assert received / sent == pytest.approx(promised, rel=0.02)


def test_age_costs_and_more_age_costs_more():
    fade = np.ones(len(SINR))
    rates = [
        DelayedKnowledge(RATES, correlation=rho, fading_share=1.0, has_outer_loop=False)
        .outcome(SINR, fade)[0]
        .sum()
        for rho in (1.0, 0.998, 0.99, 0.9)
    ]
    assert rates == sorted(rates, reverse=True)
    assert rates[3] < 0.85 * rates[0]


@pytest.mark.parametrize("num_branches", [1, 4])
def test_table_equals_drawing(num_branches):
    """Bits a transmission for one SINR and fade, from 200,000 drawn pairs of gains an antenna."""
    rng = stream(3, Purpose.FADING, 1)
    rho, sinr, fade = 0.985, 10.0 ** (9.0 / 10), 0.5
    changed = 1 - rho**2
    noise = rng.standard_normal((2, num_branches, 200_000)) * np.sqrt(changed / 2)
    met = np.abs(np.sqrt(1 - changed) * np.sqrt(fade) + noise[0] + 1j * noise[1]) ** 2 / fade
    met = met.mean(axis=0)
    mcs = np.full(met.shape, RATES.mcs_index(np.array([sinr]))[0])
    error = BlockErrorTable(RATES)
    sent, wrong = np.zeros(met.shape), np.ones(met.shape)
    for copies in range(1, 5):
        sent += wrong
        wrong = wrong * error.lookup(copies * sinr * met, mcs)
    bits = RATES.mcs.spectral_efficiency[mcs[0]] * (1 - wrong) / sent
    half = 4 * bits.std() / np.sqrt(len(bits))
    aged = DelayedKnowledge(
        RATES,
        correlation=rho,
        fading_share=1.0,
        num_branches=num_branches,
        has_outer_loop=False,
    )
    rate, _ = aged.outcome(np.array([sinr]), np.array([fade]))
    # 40 radial points meet a waterfall of 0.3 dB: 2 % beside the interval.
    assert abs(rate[0] - bits.mean()) < half + 0.02 * bits.mean()


def test_block_error_table_is_the_exact_rate_on_its_grid():
    sinr = 10.0 ** (np.arange(-5.0, 20.0, 0.05) / 10)
    for mcs in (0, 9, 17, 28):
        index = np.full(len(sinr), mcs)
        np.testing.assert_allclose(
            BlockErrorTable(RATES).lookup(sinr, index),
            RATES.block_error(sinr, index),
            atol=1e-9,
        )
