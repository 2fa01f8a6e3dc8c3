"""The sector pattern of TR 38.901."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.channel.antenna import (
    column_gain_linear,
    horizontal_attenuation_db,
    sector_gain_linear,
    vertical_attenuation_db,
)

HORIZON_RAD = np.pi / 2


def test_element_cuts_at_half_power_and_floor():
    degrees = np.array([0.0, 32.5, 65.0, 100.0, 180.0, -32.5, 392.5])
    expected_db = [0.0, 3.0, 12.0, 12 * (100 / 65) ** 2, 30.0, 3.0, 3.0]
    np.testing.assert_allclose(
        horizontal_attenuation_db(np.radians(degrees)), expected_db, atol=1e-9
    )
    found_db = vertical_attenuation_db(np.radians([90.0, 122.5, 57.5, 0.0]))
    np.testing.assert_allclose(found_db, [0.0, 3.0, 3.0, 12 * (90 / 65) ** 2], atol=1e-9)


def test_peak_is_element_plus_column():
    # At the tilt the column gives 10 log10(8); the element there is 12 (9/65)^2 dB down.
    peak = sector_gain_linear(np.array(0.0), np.radians(np.array(99.0)))
    expected_db = 8 - 12 * (9 / 65) ** 2 + 10 * np.log10(8)
    assert 10 * np.log10(peak) == pytest.approx(expected_db, abs=1e-9)


def test_back_lobe_is_30_db_down():
    front = sector_gain_linear(np.array(0.0), np.array(HORIZON_RAD), zenith_deg=90.0)
    back = sector_gain_linear(np.array(np.pi), np.array(HORIZON_RAD), zenith_deg=90.0)
    assert 10 * np.log10(front / back) == pytest.approx(30.0, abs=1e-9)


@given(
    zenith=st.floats(0.0, np.pi),
    num_elements=st.integers(1, 16),
    spacing=st.floats(0.3, 1.5),
    tilt_deg=st.floats(1, 179),
)
def test_closed_form_equals_the_sum_over_elements(zenith, num_elements, spacing, tilt_deg):
    found = column_gain_linear(
        np.array(zenith),
        num_elements=num_elements,
        element_spacing_wavelengths=spacing,
        zenith_deg=tilt_deg,
    )
    step = 2 * np.pi * spacing * (np.cos(zenith) - np.cos(np.radians(tilt_deg)))
    total = np.exp(1j * step * np.arange(num_elements)).sum()
    assert found == pytest.approx(abs(total) ** 2 / num_elements, rel=1e-5, abs=1e-9)


def test_single_element_has_no_column():
    angles = np.linspace(0.1, 3.0, 20)
    found = column_gain_linear(
        angles, num_elements=1, element_spacing_wavelengths=0.8, zenith_deg=99.0
    )
    np.testing.assert_allclose(found, 1.0, rtol=1e-9)
