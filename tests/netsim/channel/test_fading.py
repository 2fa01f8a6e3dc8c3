"""Ladder steps 7, 8, 9 and 10: distribution and motion of flat fading."""

import numpy as np
import pytest
from scipy.special import exp1, j0
from scipy.stats import ncx2

from netsim.channel.doppler import doppler_hz, jakes_correlation
from netsim.channel.fading import NoFading, Rayleigh, Rician

CARRIER = np.zeros(1)


def many_gains(fading, *, num_links=4000, num_times=50):
    """Power gains of links, each at times far apart: (time, link)."""
    links = np.arange(num_links)
    doppler = np.full(num_links, 10.0)
    return np.stack(
        [
            fading.power_gain(links, doppler_hz=doppler, at_s=97.3 * k, offset_hz=CARRIER)[:, 0]
            for k in range(num_times)
        ]
    )


@pytest.fixture(scope="module")
def rayleigh():
    return many_gains(Rayleigh(1, num_waves=128))


def four_sigma(probability, *, num):
    return 4 * np.sqrt(probability * (1 - probability) / num)


@pytest.mark.parametrize(
    ("threshold_db", "mean_db", "probability"),
    [(0, 10, 0.0951626), (5, 10, 0.2711066), (0, 20, 0.0099502)],
)
def test_rayleigh_outage(ladder, rayleigh, threshold_db, mean_db, probability):
    limit = 10 ** ((threshold_db - mean_db) / 10)
    assert probability == pytest.approx(1 - np.exp(-limit), abs=1e-7)
    ladder.near(
        7,
        "Rayleigh outage 5, 10, 20 dB below the mean",
        source="1 - exp(-threshold / mean); 4 sigma",
        measured=np.mean(rayleigh < limit),
        expected=probability,
        tolerance=four_sigma(probability, num=rayleigh.size),
    )


@pytest.mark.parametrize(
    ("k_factor_db", "probability"),
    [(0, 0.0733464), (3, 0.0462070), (7, 0.0095820), (9, 0.0021015)],
)
def test_rician_outage(ladder, k_factor_db, probability):
    k = 10 ** (k_factor_db / 10)
    # 1 - Q1(sqrt(2K), sqrt(2 (1+K) x)) is a non-central chi-square distribution function.
    assert ncx2.cdf(2 * (1 + k) * 0.1, 2, 2 * k) == pytest.approx(probability, abs=1e-6)
    gains = many_gains(Rician(1, k_factor_db=k_factor_db, num_waves=128))
    assert gains.mean() == pytest.approx(1.0, abs=0.01)
    ladder.near(
        8,
        "Rician outage 10 dB below the mean, K = 0, 3, 7, 9 dB",
        source="1 - Q1(sqrt(2K), sqrt(2 (1+K) x)); 4 sigma",
        measured=np.mean(gains < 0.1),
        expected=probability,
        tolerance=four_sigma(probability, num=gains.size),
    )


@pytest.mark.parametrize(
    ("mean_db", "capacity"),
    [(0, 0.86035), (5, 1.71597), (10, 2.90651), (15, 4.33020), (20, 5.88405), (30, 9.14362)],
)
def test_ergodic_rayleigh_capacity(ladder, rayleigh, mean_db, capacity):
    mean = 10 ** (mean_db / 10)
    assert np.exp(1 / mean) * exp1(1 / mean) / np.log(2) == pytest.approx(capacity, abs=1e-5)
    ladder.near(
        9,
        "ergodic Rayleigh capacity, 0 to 30 dB",
        source="e^(1/g) E1(1/g) / ln 2",
        measured=np.mean(np.log2(1 + mean * rayleigh)),
        expected=capacity,
        rel=0.005,
        unit="b/s/Hz",
    )


def test_default_number_of_waves_is_close_to_rayleigh():
    gains = many_gains(Rayleigh(1))
    assert np.mean(gains < 0.1) == pytest.approx(0.0951626, abs=0.004)
    assert np.mean(gains**2) == pytest.approx(2 - 1 / 32, abs=0.04)


def test_correlation_over_time_is_jakes(ladder):
    cycles = np.array([0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0])
    expected = [1, 0.975478, 0.903713, 0.642512, 0.290564, -0.304242, -0.265857, 0.220277]
    np.testing.assert_allclose(jakes_correlation(cycles, doppler_hz=1.0), expected, atol=1e-6)
    np.testing.assert_allclose(j0(2 * np.pi * cycles), expected, atol=1e-6)
    links, doppler = np.arange(4000), np.full(4000, 20.0)
    fading = Rayleigh(2)
    gain = np.stack(
        [
            fading.complex_gains(links, doppler_hz=doppler, at_s=start_s + cycles_here / 20.0)[0]
            for start_s in (0.0, 31.0, 77.7)
            for cycles_here in cycles
        ]
    ).reshape(3, len(cycles), -1)
    found = np.mean(gain[:, :1].conj() * gain, axis=(0, 2))
    np.testing.assert_allclose(found.imag, 0, atol=0.05)
    ladder.near(
        10,
        "autocorrelation over 0 to 1 Doppler cycles",
        source="J0(2 pi f_d t)",
        measured=found.real,
        expected=expected,
        tolerance=0.05,
    )


def test_one_link_alone_shows_the_jakes_correlation():
    at_s = np.arange(0, 2000, 0.005)
    fading = Rayleigh(3)
    gain = fading.complex_gains(
        np.zeros(len(at_s), int), doppler_hz=np.full(len(at_s), 10.0), at_s=at_s
    )[0]
    for lag in (1, 4, 10, 20):
        found = np.mean(gain[lag:] * gain[:-lag].conj())
        assert abs(found - j0(2 * np.pi * 10 * lag * 0.005)) < 0.05
    assert np.mean(np.abs(gain) ** 2) == pytest.approx(1.0, abs=0.01)


CROSSING_LINKS, CROSSING_S, SAMPLE_S = 60, 40.0, 1e-3


@pytest.fixture(scope="module")
def sampled_power():
    """Power of links over time, 100 samples a Doppler cycle: (link, time)."""
    at_s = np.arange(0, CROSSING_S, SAMPLE_S)
    doppler = np.full(len(at_s), 10.0)
    fading = Rayleigh(4)
    gains = [
        fading.complex_gains(np.full(len(at_s), link), doppler_hz=doppler, at_s=at_s)[0]
        for link in range(CROSSING_LINKS)
    ]
    return np.abs(np.stack(gains)) ** 2


@pytest.mark.parametrize(
    ("level_db", "crossings", "duration"),
    [(-10, 0.71723, 0.13268), (-5, 1.02743, 0.26387), (0, 0.92214, 0.68550)],
)
def test_level_crossings_and_fade_durations(ladder, sampled_power, level_db, crossings, duration):
    """Crossings over f_d and durations times f_d, at f_d = 10 Hz."""
    is_below = sampled_power < 10 ** (level_db / 10)
    num_down = np.sum(is_below[:, 1:] & ~is_below[:, :-1])
    ladder.near(
        10,
        "level crossings at -10, -5, 0 dB over f_d",
        source="Rice",
        measured=num_down / (CROSSING_LINKS * CROSSING_S * 10.0),
        expected=crossings,
        rel=0.05,
    )
    ladder.near(
        10,
        "fade durations below -10, -5, 0 dB times f_d",
        source="Rice",
        measured=is_below.sum() * SAMPLE_S / num_down * 10.0,
        expected=duration,
        rel=0.05,
    )


@pytest.mark.parametrize("fading", [Rayleigh(5), Rician(5, k_factor_db=6.0), NoFading()])
def test_gain_depends_on_link_and_time_only(fading):
    links = np.array([7, 3, 3, 11, 0])
    doppler = np.full(5, 30.0)
    per_transmitter = fading.power_gain(links, doppler_hz=doppler, at_s=1.25, offset_hz=np.zeros(3))
    np.testing.assert_array_equal(per_transmitter[1], per_transmitter[2])
    for row in reversed(range(5)):
        other = type(fading)(5, k_factor_db=6.0) if isinstance(fading, Rician) else fading
        alone = other.power_gain(
            links[[row]], doppler_hz=doppler[:1], at_s=1.25, offset_hz=np.zeros(3)
        )
        np.testing.assert_allclose(alone[0], per_transmitter[row], rtol=1e-9)


def test_times_may_differ_between_links():
    fading, doppler = Rayleigh(6), np.full(2, 30.0)
    both = fading.power_gain(
        np.array([1, 2]), doppler_hz=doppler, at_s=[0.5, 0.9], offset_hz=CARRIER
    )
    second = fading.power_gain(np.array([2]), doppler_hz=doppler[:1], at_s=0.9, offset_hz=CARRIER)
    np.testing.assert_allclose(both[1], second[0], rtol=1e-9)


def test_dropped_coefficients_are_drawn_again_alike(monkeypatch):
    roomy, tight = Rayleigh(8), Rayleigh(8)
    doppler = np.full(30, 5.0)
    batches = [np.arange(0, 30), np.arange(20, 50), np.arange(0, 30)]
    expected = [
        roomy.power_gain(ids, doppler_hz=doppler, at_s=2.0, offset_hz=CARRIER) for ids in batches
    ]
    monkeypatch.setattr("netsim.channel.fading.MAX_CACHED_COEFFICIENTS", 64 * 35)
    for ids, gains in zip(batches, expected, strict=True):
        found = tight.power_gain(ids, doppler_hz=doppler, at_s=2.0, offset_hz=CARRIER)
        np.testing.assert_array_equal(found, gains)


def test_doppler_frequencies():
    for carrier_hz, speed_kmh, expected_hz in [
        (0.7e9, 3, 1.946),
        (3.5e9, 30, 97.29),
        (28e9, 3, 77.83),
    ]:
        found_hz = doppler_hz(speed_kmh / 3.6, carrier_hz=carrier_hz)
        assert found_hz == pytest.approx(expected_hz, rel=1e-3)


def test_too_few_waves_are_refused():
    with pytest.raises(ValueError, match="num_waves: must be >= 16, got 8"):
        Rayleigh(1, num_waves=8)
