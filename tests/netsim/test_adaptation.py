"""Aged channel knowledge against its limits and against drawing."""

import numpy as np
import pytest

from netsim.adaptation import DelayedKnowledge, KnownChannel, MeanOverFading
from netsim.block_error_table import BlockErrorTable
from netsim.ergodic import ErgodicRate
from netsim.link_adaptation import RateTable
from netsim.streams import Purpose, stream

RATES = RateTable()
# On the table's grid of 0.25 dB, so that interpolation adds nothing.
SINR = 10.0 ** (np.arange(-10.0, 30.0, 0.25) / 10)


@pytest.mark.parametrize(
    "settings",
    [{"correlation": 1.0, "fading_share": 1.0}, {"correlation": 0.5, "fading_share": 0.0}],
)
def test_nothing_changes_means_nothing_lost(settings):
    aged = DelayedKnowledge(RATES, **settings)
    rate, transmissions = aged.outcome(SINR, np.ones(len(SINR)))
    np.testing.assert_allclose(rate, RATES.spectral_efficiency(SINR), rtol=1e-6)
    np.testing.assert_allclose(transmissions, RATES.mean_transmissions(SINR), rtol=1e-6)


def test_age_costs_and_more_age_costs_more():
    fade = np.ones(len(SINR))
    rates = [
        DelayedKnowledge(RATES, correlation=rho, fading_share=1.0).outcome(SINR, fade)[0].sum()
        for rho in (1.0, 0.998, 0.99, 0.9)
    ]
    assert rates == sorted(rates, reverse=True)
    assert rates[3] < 0.85 * rates[0]


def test_table_equals_drawing():
    """Bits a transmission for one SINR and fade, from 200,000 drawn pairs of gains."""
    rng = stream(3, Purpose.FADING, 1)
    rho, sinr, fade = 0.985, 10.0 ** (9.0 / 10), 0.5
    changed = 1 - rho**2
    noise = rng.standard_normal((2, 200_000)) * np.sqrt(changed / 2)
    met = np.abs(np.sqrt(1 - changed) * np.sqrt(fade) + noise[0] + 1j * noise[1]) ** 2 / fade
    mcs = np.full(met.shape, RATES.mcs_index(np.array([sinr]))[0])
    error = BlockErrorTable(RATES)
    sent, wrong = np.zeros(met.shape), np.ones(met.shape)
    for copies in range(1, 5):
        sent += wrong
        wrong = wrong * error.lookup(copies * sinr * met, mcs)
    bits = RATES.mcs.spectral_efficiency[mcs[0]] * (1 - wrong) / sent
    half = 4 * bits.std() / np.sqrt(len(bits))
    aged = DelayedKnowledge(RATES, correlation=rho, fading_share=1.0)
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


def test_mean_over_flat_fading_is_the_ergodic_rate():
    gains = stream(5, Purpose.FADING, 2).exponential(size=2000)
    gains /= gains.mean()
    mean = MeanOverFading(KnownChannel(RATES), fades=gains)
    sinr = 10.0 ** (np.arange(-5.0, 30.0, 5.0) / 10)
    oracle = ErgodicRate(RATES, gains=gains[:, None]).spectral_efficiency(sinr)
    np.testing.assert_allclose(mean.efficiency(sinr), oracle, rtol=1e-6)
