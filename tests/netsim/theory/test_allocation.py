"""Closed forms of bandwidth allocation (steps 17 and 18 of the ladder)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.netsim.theory.allocation import (
    LN2,
    energy_minimal_duration_s,
    equal_finish_time,
    fixed_efficiency_finish_time,
    needed_bandwidth_hz,
    shannon_rate_bps,
    upload_energy_j,
)

NOISE_W_PER_HZ = 10 ** ((-169 - 30) / 10)
UPLOAD = {
    "size_bits": 80e6,
    "bandwidth_hz": 5e6,
    "gain_linear": 1e-11,
    "noise_density_w_per_hz": NOISE_W_PER_HZ,
}


def three_clients():
    signal_hz = 0.2 * 10 ** (-np.array([100.0, 110.0, 120.0]) / 10) / NOISE_W_PER_HZ
    return np.full(3, 80e6), signal_hz, np.array([2.0, 4.0, 6.0])


def test_equal_finish_of_three_power_limited_clients(ladder):
    size_bits, signal_hz, ready_at_s = three_clients()
    finish_s, bandwidth_hz = equal_finish_time(size_bits, signal_hz, ready_at_s, bandwidth_hz=20e6)
    ladder.near(
        17,
        "equal finish time of three power-limited uploads",
        source="closed form, independent script",
        measured=finish_s,
        expected=10.913149,
        tolerance=1e-6,
        unit="s",
    )
    np.testing.assert_allclose(bandwidth_hz, [822171, 1781878, 17395951], atol=1)
    alone_s = ready_at_s + size_bits / shannon_rate_bps(bandwidth_hz, signal_hz)
    np.testing.assert_allclose(alone_s, finish_s, rtol=1e-9)


def test_equal_bandwidths_finish_at_different_times():
    size_bits, signal_hz, ready_at_s = three_clients()
    finish_s = ready_at_s + size_bits / shannon_rate_bps(np.full(3, 20e6 / 3), signal_hz)
    np.testing.assert_allclose(finish_s, [3.518, 6.590, 12.825], atol=5e-4)


def test_equal_finish_at_fixed_efficiency(ladder):
    efficiency = np.array([4.0, 2.0, 1.0])
    finish_s, fraction = fixed_efficiency_finish_time(
        np.full(3, 80e6), efficiency, ready_at_s=3.0, bandwidth_hz=20e6
    )
    ladder.near(
        17,
        "equal finish time at fixed efficiencies",
        source="by hand",
        measured=finish_s,
        expected=10.0,
        tolerance=1e-6,
        unit="s",
    )
    np.testing.assert_allclose(fraction, [1 / 7, 2 / 7, 4 / 7], rtol=1e-12)
    assert (3.0 + 80e6 / (efficiency * 20e6 / 3)).max() == pytest.approx(15.0)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num=st.integers(1, 20))
def test_equal_finish_uses_the_band_and_beats_the_equal_split(seed, num):
    rng = np.random.default_rng(seed)
    size_bits, signal_hz = 10 ** rng.uniform(4, 9, num), 10 ** rng.uniform(4, 10, num)
    ready_at_s = rng.uniform(0, 20, num)
    finish_s, bandwidth_hz = equal_finish_time(size_bits, signal_hz, ready_at_s, bandwidth_hz=2e7)
    assert bandwidth_hz.sum() == pytest.approx(2e7, rel=1e-6)
    each_s = ready_at_s + size_bits / shannon_rate_bps(bandwidth_hz, signal_hz)
    np.testing.assert_allclose(each_s, finish_s, rtol=1e-6)
    split_s = ready_at_s + size_bits / shannon_rate_bps(np.full(num, 2e7 / num), signal_hz)
    assert finish_s <= split_s.max() * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(
    rate_bps=st.floats(1e3, 1e9),
    margin=st.floats(1.01, 1e4),
)
def test_needed_bandwidth_inverts_the_rate(rate_bps, margin):
    signal_hz = np.array([rate_bps * LN2 * margin])
    bandwidth_hz = needed_bandwidth_hz(np.array([rate_bps]), signal_hz)
    assert shannon_rate_bps(bandwidth_hz, signal_hz)[0] == pytest.approx(rate_bps, rel=1e-6)


def test_no_bandwidth_is_enough_beyond_the_power_limit():
    assert needed_bandwidth_hz(np.array([1.0]), np.array([LN2 * 0.999]))[0] == np.inf


def test_upload_energy_at_the_anchors():
    energy_j = upload_energy_j(np.array([2.0, 5.0, 10.0, 20.0]), **UPLOAD)
    np.testing.assert_allclose(energy_j, [3.210, 0.2578, 0.1279, 0.0933], atol=5e-4, rtol=5e-4)


def test_upload_energy_falls_to_its_limit_when_there_is_no_circuit_power(ladder):
    duration_s = np.geomspace(1, 1e6, 400)
    energy_j = upload_energy_j(duration_s, **UPLOAD)
    assert np.all(np.diff(energy_j) < 0)
    limit_j = 80e6 * LN2 * NOISE_W_PER_HZ / 1e-11
    assert limit_j == pytest.approx(0.06981, abs=5e-6)
    ladder.near(
        18,
        "energy of an ever slower upload",
        source="s ln 2 N0 / h",
        measured=energy_j[-1],
        expected=limit_j,
        rel=1e-5,
        unit="J",
    )


@pytest.mark.parametrize("circuit_w", [1e-3, 0.1, 0.75, 5.0])
def test_circuit_power_makes_a_minimum(circuit_w):
    best_s = energy_minimal_duration_s(**UPLOAD, circuit_w=circuit_w)
    around_s = best_s * np.linspace(0.5, 2.0, 301)
    energy_j = upload_energy_j(around_s, **UPLOAD, circuit_w=circuit_w)
    assert around_s[energy_j.argmin()] == pytest.approx(best_s, rel=0.01)
    with pytest.raises(ValueError, match="circuit_w: must be > 0"):
        energy_minimal_duration_s(**UPLOAD, circuit_w=0.0)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="must be > 0 for every client"):
        equal_finish_time(np.zeros(1), np.ones(1), np.zeros(1), bandwidth_hz=1.0)
    with pytest.raises(ValueError, match="bandwidth_hz > 0"):
        equal_finish_time(np.ones(1), np.ones(1), np.zeros(1), bandwidth_hz=0.0)
