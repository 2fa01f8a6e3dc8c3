"""Rates averaged over fading."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.ergodic import ErgodicRate, sample_gains
from netsim.fading import NoFading, Rayleigh
from netsim.link_adaptation import RateTable
from netsim.tdl import TappedDelayLine

TABLE = RateTable()
OFFSETS_HZ = np.arange(12) * 1.44e6
FLAT = ErgodicRate(
    TABLE, gains=sample_gains(Rayleigh(1, num_waves=64), offset_hz=np.zeros(1), num_draws=8192)
)
SELECTIVE = ErgodicRate(
    TABLE,
    gains=sample_gains(
        TappedDelayLine(1, profile="A", delay_spread_s=300e-9), offset_hz=OFFSETS_HZ, num_draws=256
    ),
)


def test_without_fading_it_is_the_rate_table():
    steady = ErgodicRate(TABLE, gains=sample_gains(NoFading(), offset_hz=np.zeros(1), num_draws=4))
    sinr = 10 ** (steady.grid_db / 10)
    np.testing.assert_allclose(
        steady.spectral_efficiency(sinr), TABLE.spectral_efficiency(sinr), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("mean_db", [0.0, 10.0, 20.0])
def test_equals_the_integral_over_the_exponential_distribution(mean_db):
    quantiles = -np.log1p(-(np.arange(200_000) + 0.5) / 200_000)
    expected = TABLE.spectral_efficiency(10 ** (mean_db / 10) * quantiles).mean()
    found = FLAT.spectral_efficiency(np.array([10 ** (mean_db / 10)]))[0]
    assert found == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("rate", [FLAT, SELECTIVE], ids=["flat", "selective"])
@given(mean_db=st.floats(-40, 60), step_db=st.floats(0, 20))
def test_never_falls_with_mean_sinr(rate, mean_db, step_db):
    low, high = rate.spectral_efficiency(10 ** (np.array([mean_db, mean_db + step_db]) / 10))
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
    assert measured == pytest.approx(FLAT.spectral_efficiency(np.array([10.0]))[0], rel=0.03)


def test_selective_fading_varies_less_than_flat():
    fading = TappedDelayLine(1, profile="A", delay_spread_s=300e-9)
    gains = sample_gains(fading, offset_hz=OFFSETS_HZ, num_draws=1024)
    wide = TABLE.selective_spectral_efficiency(40.0 * gains)
    narrow = TABLE.spectral_efficiency(40.0 * gains[:, 0])
    assert wide.std() < 0.6 * narrow.std()


def test_empty_gains_are_refused():
    with pytest.raises(ValueError, match=r"gains: must be \(draw, group\) with a mean > 0"):
        ErgodicRate(TABLE, gains=np.zeros((3, 2)))
