"""Ladder step 11: power-delay profiles and the selectivity they cause."""

import numpy as np
import pytest

from netsim.channel.tdl import PROFILES, TappedDelayLine, power_delay_profile

NUM_TAPS = {"A": 23, "B": 23, "C": 24, "D": 14, "E": 15}


@pytest.mark.parametrize("name", PROFILES)
def test_profile_has_unit_delay_spread(name):
    profile = power_delay_profile(name)
    assert len(profile.power) == NUM_TAPS[name]
    assert profile.power.sum() == pytest.approx(1.0)
    mean = profile.power @ profile.normalized_delay
    spread = np.sqrt(profile.power @ (profile.normalized_delay - mean) ** 2)
    assert spread == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize(("name", "k_factor_db"), [("D", 13.3), ("E", 22.0)])
def test_first_tap_has_the_standards_k_factor(name, k_factor_db):
    profile = power_delay_profile(name)
    assert profile.is_direct.sum() == 1
    ratio_db = 10 * np.log10(profile.power[0] / profile.power[1])
    assert ratio_db == pytest.approx(k_factor_db, abs=0.05)


@pytest.mark.parametrize("name", PROFILES)
def test_measured_tap_powers_and_delay_spread(ladder, name):
    fading = TappedDelayLine(1, profile=name, delay_spread_s=100e-9)
    links = np.arange(1500)
    gain = np.concatenate(
        [
            fading.tap_gains(links, doppler_hz=np.full(1500, 10.0), at_s=51.7 * k)[0]
            for k in range(12)
        ]
    )
    found = np.mean(np.abs(gain) ** 2, axis=0)
    ladder.near(
        11,
        "tap powers of TDL-A to E",
        source="TR 38.901 Tables 7.7.2-1 to 5",
        measured=found,
        expected=power_delay_profile(name).power,
        rel=0.03,
    )
    mean_s = found @ fading.delay_s
    spread_s = np.sqrt(found @ (fading.delay_s - mean_s) ** 2)
    ladder.near(
        11,
        "delay spread of TDL-A to E",
        source="the spread asked for",
        measured=spread_s * 1e9,
        expected=100.0,
        rel=0.03,
        unit="ns",
    )


@pytest.mark.parametrize("name", PROFILES)
def test_power_over_frequency_has_mean_one_and_the_profiles_correlation(name):
    fading = TappedDelayLine(2, profile=name, delay_spread_s=300e-9)
    offsets_hz = np.arange(8) * 360e3
    links = np.arange(1500)
    gain = np.concatenate(
        [
            fading.power_gain(
                links, doppler_hz=np.full(1500, 10.0), at_s=51.7 * k, offset_hz=offsets_hz
            )
            for k in range(12)
        ]
    )
    np.testing.assert_allclose(gain.mean(axis=0), 1.0, rtol=0, atol=0.04)
    if name in "ABC":  # power of Rayleigh channels: covariance is |R(df)|^2
        profile = power_delay_profile(name)
        response = np.exp(-2j * np.pi * np.outer(offsets_hz, fading.delay_s)) @ profile.power
        found = np.corrcoef(gain.T)[0]
        np.testing.assert_allclose(found, np.abs(response) ** 2, rtol=0, atol=0.06)


def test_zero_delay_spread_is_flat():
    fading = TappedDelayLine(3, profile="C", delay_spread_s=0.0)
    gain = fading.power_gain(
        np.arange(4), doppler_hz=np.full(4, 5.0), at_s=1.0, offset_hz=np.linspace(-1e7, 1e7, 9)
    )
    np.testing.assert_allclose(gain, gain[:, :1].repeat(9, axis=1), rtol=1e-9)


def test_unknown_profile_and_bad_spread_are_refused():
    with pytest.raises(ValueError, match="profile: must be one of A, B, C, D, E, got 'F'"):
        TappedDelayLine(1, profile="F", delay_spread_s=1e-7)
    with pytest.raises(ValueError, match="delay_spread_s: must be finite and >= 0"):
        TappedDelayLine(1, profile="A", delay_spread_s=-1.0)
