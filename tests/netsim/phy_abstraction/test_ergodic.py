"""Rates averaged over fading."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gamma

from netsim.channel.fading import Rayleigh
from netsim.channel.receive_antennas import CombinedFading, maximum_ratio
from netsim.channel.tdl import TappedDelayLine
from netsim.phy.link_adaptation import RateTable
from netsim.phy_abstraction.ergodic import MeanOverFading, sample_gains
from netsim.phy_abstraction.goodput import KnownChannel

TABLE = RateTable()
OFFSETS_HZ = np.arange(12) * 1.44e6
GAINS = sample_gains(Rayleigh(1, num_waves=64), offset_hz=np.zeros(1), num_draws=8192)[:, 0]
RATE = MeanOverFading(
    KnownChannel(TABLE, has_outer_loop=False),
    gain=GAINS[:, None],
    flatten=lambda sinr: sinr[:, 0],
)


@pytest.mark.parametrize("mean_db", [0.0, 10.0, 20.0])
def test_equals_the_integral_over_the_exponential_distribution(mean_db):
    quantiles = -np.log1p(-(np.arange(200_000) + 0.5) / 200_000)
    expected = TABLE.spectral_efficiency(10 ** (mean_db / 10) * quantiles).mean()
    found = RATE.efficiency(np.array([10 ** (mean_db / 10)]))[0]
    assert found == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("mean_db", [0.0, 10.0, 20.0])
def test_with_combined_antennas_it_is_the_integral_over_the_erlang_distribution(mean_db):
    combining = maximum_ratio(4, correlation=0.0)
    fading = CombinedFading(Rayleigh(1, num_waves=64, num_branches=4), combining)
    mean = MeanOverFading(
        KnownChannel(TABLE, has_outer_loop=False),
        gain=sample_gains(fading, offset_hz=np.zeros(1), num_draws=8192),
        flatten=lambda sinr: sinr[:, 0],
    )
    quantiles = gamma.ppf((np.arange(20_000) + 0.5) / 20_000, 4) / 4
    expected = TABLE.spectral_efficiency(10 ** (mean_db / 10) * quantiles).mean()
    found = mean.efficiency(np.array([10 ** (mean_db / 10)]))[0]
    assert found == pytest.approx(expected, rel=0.01)


@given(mean_db=st.floats(-40, 60), step_db=st.floats(0, 20))
def test_never_falls_with_mean_sinr(mean_db, step_db):
    low, high = RATE.efficiency(10 ** (np.array([mean_db, mean_db + step_db]) / 10))
    assert 0 <= low <= high + 1e-12


def test_long_average_of_a_link_approaches_it():
    fading = Rayleigh(5)
    at_s = np.arange(0, 400, 0.013)
    gains = fading.power_gain(
        np.zeros(len(at_s), int),
        doppler_hz=np.full(len(at_s), 10.0),
        at_s=at_s,
        offset_hz=np.zeros(1),
    )[:, 0]
    measured = TABLE.spectral_efficiency(10.0 * gains).mean()
    assert measured == pytest.approx(RATE.efficiency(np.array([10.0]))[0], rel=0.03)


def test_effective_fades_below_the_mean_lower_the_rate():
    """The rate of half the SINR in every group, at any SINR."""
    half = MeanOverFading(
        KnownChannel(TABLE, has_outer_loop=False),
        gain=GAINS[:, None],
        flatten=lambda sinr: 0.5 * sinr[:, 0],
    )
    sinr = 10.0 ** (np.arange(0.0, 20.0, 3.0) / 10)
    np.testing.assert_allclose(half.efficiency(2 * sinr), RATE.efficiency(sinr), rtol=0.01)
    np.testing.assert_allclose(
        half.outcome(2 * sinr, np.ones(1))[1], RATE.outcome(sinr, np.ones(1))[1], rtol=0.01
    )


def test_gains_of_selective_fading_vary_less_over_the_band_than_in_a_group():
    fading = TappedDelayLine(1, profile="A", delay_spread_s=300e-9)
    gains = sample_gains(fading, offset_hz=OFFSETS_HZ, num_draws=1024)
    assert gains.shape == (1024, 12)
    assert gains.mean() == pytest.approx(1.0, abs=0.1)
    assert gains.mean(axis=1).std() < 0.6 * gains[:, 0].std()
