"""Maximum-ratio combining: closed forms of mean, variance, outage and correlation."""

import numpy as np
import pytest
from scipy.special import gammainc
from scipy.stats import gamma

from netsim.channel.fading import NoFading, Rayleigh, Rician
from netsim.channel.receive_antennas import MOST_BRANCHES, CombinedFading, maximum_ratio
from netsim.channel.tdl import TappedDelayLine, power_delay_profile

NUM_WAVES = 64
"""Many waves: sums of them are complex Gaussian, and closed forms hold."""
CARRIER = np.zeros(1)
NUM_LINKS, NUM_INSTANTS = 500, 10
NUM_SAMPLES = NUM_LINKS * NUM_INSTANTS


def combined(num_antennas, correlation=0.0, *, seed=1, make=Rayleigh, **settings):
    combining = maximum_ratio(num_antennas, correlation=correlation)
    process = make(seed, num_branches=len(combining.weights), **settings)
    return CombinedFading(process, combining)


def sample(fading, num_instants=NUM_INSTANTS, *, offset_hz=CARRIER):
    """Uplink power gains of independent links at instants 7.3 Doppler cycles apart."""
    return fading.power_gain(
        np.tile(np.arange(NUM_LINKS), num_instants),
        doppler_hz=np.full(NUM_LINKS * num_instants, 10.0),
        at_s=np.repeat(0.73 * np.arange(num_instants), NUM_LINKS),
        offset_hz=offset_hz,
    )


@pytest.mark.parametrize("correlation", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("num_antennas", [1, 2, 4, 8, 64])
def test_weights_have_the_mean_and_the_variance_of_all_branches(num_antennas, correlation):
    """Var = 1/N + (1 - 1/N) rho^2, from the eigenvalues of the correlation matrix itself."""
    matrix = np.full((num_antennas, num_antennas), correlation)
    np.fill_diagonal(matrix, 1.0)
    eigenvalues = np.linalg.eigvalsh(matrix) / num_antennas
    combining = maximum_ratio(num_antennas, correlation=correlation)
    weights = np.array(combining.weights)
    assert combining.constant + weights.sum() == pytest.approx(1.0, abs=1e-14)
    assert (weights**2).sum() == pytest.approx((eigenvalues**2).sum(), rel=1e-12)
    expected = 1 / num_antennas + (1 - 1 / num_antennas) * correlation**2
    assert 1 / combining.effective_branches == pytest.approx(expected, rel=1e-12)
    assert weights[0] == pytest.approx(eigenvalues.max(), rel=1e-12)
    assert len(weights) <= MOST_BRANCHES
    if num_antennas <= MOST_BRANCHES and correlation < 1.0:
        np.testing.assert_allclose(np.sort(weights), eigenvalues, rtol=1e-12)
        assert combining.constant == 0.0


@pytest.mark.parametrize(
    ("num_antennas", "correlation"), [(2, 0.0), (4, 0.0), (4, 0.5), (8, 0.2), (64, 0.0), (64, 0.3)]
)
def test_sampled_gains_have_mean_1_and_the_variance_of_the_closed_form(num_antennas, correlation):
    gain = sample(combined(num_antennas, correlation, num_waves=NUM_WAVES))[:, 0]
    variance = 1 / num_antennas + (1 - 1 / num_antennas) * correlation**2
    assert abs(gain.mean() - 1) < 4 * np.sqrt(variance / NUM_SAMPLES)
    error = np.sqrt(((gain - 1) ** 2).var() / NUM_SAMPLES)
    assert abs(gain.var() - variance * (1 - 1 / NUM_WAVES)) < 4 * error


@pytest.mark.parametrize("num_antennas", [1, 2, 4, 8])
def test_outage_probability_is_that_of_the_erlang_distribution(num_antennas):
    """P(sum of N exponentials of mean 1 < N t), at -10, -5 and 0 dB; Brennan 1959."""
    gain = sample(combined(num_antennas, num_waves=NUM_WAVES))[:, 0]
    for level in 10.0 ** (np.array([-10.0, -5.0, 0.0]) / 10):
        expected = gammainc(num_antennas, num_antennas * level)
        half = 4 * np.sqrt(expected * (1 - expected) / NUM_SAMPLES) + 1e-9
        assert abs((gain < level).mean() - expected) < half


def test_outage_with_correlation_is_that_of_the_eigenvalues():
    """Two antennas: P = 1 - (a exp(-x/a) - b exp(-x/b)) / (a - b), eigenvalues a and b."""
    a, b, level = 1.6, 0.4, 0.25
    gain = sample(combined(2, 0.6, num_waves=NUM_WAVES))[:, 0]
    x = 2 * level
    expected = 1 - (a * np.exp(-x / a) - b * np.exp(-x / b)) / (a - b)
    half = 4 * np.sqrt(expected * (1 - expected) / NUM_SAMPLES)
    assert abs((gain < level).mean() - expected) < half


def test_64_antennas_have_the_quantiles_of_all_branches():
    """Eight simulated branches and a constant: 1 to 99 % within 0.3 dB of the 64-fold Erlang."""
    gain = sample(combined(64, num_waves=NUM_WAVES), 20)[:, 0]
    level = np.array([0.01, 0.05, 0.5, 0.95, 0.99])
    found_db = 10 * np.log10(np.quantile(gain, level))
    np.testing.assert_allclose(found_db, 10 * np.log10(gamma.ppf(level, 64) / 64), atol=0.3)


@pytest.mark.parametrize("num_antennas", [2, 64])
def test_fully_correlated_antennas_fade_like_one(num_antennas):
    one, many = sample(combined(1), 1), sample(combined(num_antennas, 1.0), 1)
    np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (Rayleigh, {}),
        (Rician, {"k_factor_db": 6.0}),
        (TappedDelayLine, {"profile": "A", "delay_spread_s": 100e-9}),
        (TappedDelayLine, {"profile": "D", "delay_spread_s": 100e-9}),
    ],
)
def test_the_downlink_is_that_of_one_antenna_byte_for_byte(make, settings):
    links, offsets = np.array([3, 8, 3]), np.array([-5e6, 0.0, 7e6])
    call = {"doppler_hz": np.full(3, 10.0), "at_s": np.array([0.1, 0.2, 0.3]), "offset_hz": offsets}
    expected = make(1, **settings).power_gain(links, **call)
    for num_antennas in (1, 2, 4, 64):
        gains = combined(num_antennas, make=make, **settings).both(links, **call)
        assert gains.downlink.tobytes() == expected.tobytes()
        assert (gains.uplink is gains.downlink) == (num_antennas == 1)
    alone = combined(4, make=make, **settings).both(
        links[1:2], doppler_hz=np.full(1, 10.0), at_s=0.2, offset_hz=offsets
    )
    four = combined(4, make=make, **settings).both(links, **call)
    np.testing.assert_allclose(alone.uplink[0], four.uplink[1], rtol=1e-5)


def test_without_fading_nothing_varies():
    fading = CombinedFading(NoFading(), maximum_ratio(4, correlation=0.0))
    np.testing.assert_array_equal(sample(fading, 1), np.ones((NUM_LINKS, 1)))


def test_direct_path_adds_on_all_antennas():
    """Variance of a Rician power gain, (1 + 2K) / (1 + K)^2, over N."""
    ratio = 10**0.3
    gain = sample(combined(4, make=Rician, k_factor_db=3.0, num_waves=NUM_WAVES))[:, 0]
    variance = (1 + 2 * ratio) / (1 + ratio) ** 2 / 4
    assert abs(gain.mean() - 1) < 4 * np.sqrt(variance / NUM_SAMPLES)
    assert gain.var() == pytest.approx(variance, rel=0.08)


def test_groups_of_combined_antennas_are_correlated_like_those_of_one():
    """Power correlation over frequency is |R(f)|^2 of the profile, whatever the antennas."""
    profile = power_delay_profile("A")
    offsets = np.array([0.0, 1e6, 3e6])
    fading = combined(4, make=TappedDelayLine, profile="A", delay_spread_s=100e-9)
    gain = sample(fading, offset_hz=offsets)
    phase = np.exp(-2j * np.pi * profile.normalized_delay * 100e-9 * offsets[:, None])
    expected = np.abs(phase @ profile.power) ** 2
    np.testing.assert_allclose(np.corrcoef(gain.T)[0], expected, atol=0.05)
    np.testing.assert_allclose(gain.var(axis=0), 0.25, rtol=0.08)


def test_branches_of_a_link_are_uncorrelated_and_follow_jakes():
    """One link over time: any two branches, and each of them over its own past."""
    at_s = np.arange(0, 600, 0.02)
    fading = Rayleigh(3, num_branches=3)
    gains = fading.complex_gains(
        np.zeros(len(at_s), int), doppler_hz=np.full(len(at_s), 10.0), at_s=at_s, num_branches=3
    )
    np.testing.assert_allclose((np.abs(gains) ** 2).mean(axis=1), 1.0, atol=0.06)
    lag = 1  # 0.2 Doppler cycles
    found = (gains[:, lag:] * gains[:, :-lag].conj()).mean(axis=1)
    np.testing.assert_allclose(found, 0.642512, atol=0.06)
    links = np.arange(NUM_LINKS)
    of_links = fading.complex_gains(
        links, doppler_hz=np.full(NUM_LINKS, 10.0), at_s=0.0, num_branches=3
    )
    across = of_links @ of_links.conj().T / NUM_LINKS
    np.testing.assert_allclose(across, np.eye(3), atol=4 / np.sqrt(NUM_LINKS))
    power = np.corrcoef(np.abs(of_links) ** 2)
    np.testing.assert_allclose(power, np.eye(3), atol=4 / np.sqrt(NUM_LINKS))


def test_no_more_branches_than_the_process_has():
    with pytest.raises(ValueError, match="num_branches: must be <= 2, got 3"):
        Rayleigh(1, num_branches=2).complex_gains(
            np.arange(2), doppler_hz=np.ones(2), at_s=0.0, num_branches=3
        )
