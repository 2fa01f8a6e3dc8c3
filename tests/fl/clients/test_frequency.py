"""Frequency scaling against its closed form."""

import numpy as np
import pytest

from fl.clients.device import Device
from fl.clients.device_table import DEVICES
from fl.clients.frequency import DvfsConfig
from fl.clients.work import Work


def joules(fraction, static):
    """What 10^12 operations take on a mid-range phone."""
    dvfs = DvfsConfig(frequency_fraction=fraction, static_fraction=static)
    device = Device.of(DEVICES["phone_mid"], dvfs=dvfs)
    return device.compute_s(Work(flop=10**12)) * device.compute_w


def test_speed_goes_with_frequency_and_power_with_its_cube():
    dvfs = DvfsConfig(frequency_fraction=0.5, static_fraction=0.2)
    device = Device.of(DEVICES["phone_mid"], dvfs=dvfs)
    assert device.speed.flop_per_s == pytest.approx(5e9)
    assert (device.speed.low_flop_per_s, device.speed.high_flop_per_s) == (1.6e9, 25e9)
    assert device.compute_w == pytest.approx(3.0 * (0.2 + 0.8 * 0.125))
    np.testing.assert_allclose(device.power_range_w, np.array([2.5, 4.0]) * 0.3)


@pytest.mark.parametrize("static", [0.1, 0.3, 0.6])
def test_energy_of_an_operation_is_least_where_static_is_twice_dynamic(static):
    """d/df (s / f + (1 - s) f^2) = 0 at f = (s / (2 (1 - s)))^(1/3)."""
    best = (static / (2 * (1 - static))) ** (1 / 3)
    grid = np.linspace(0.05, 0.999, 2000)
    found = grid[np.argmin([joules(fraction, static) for fraction in grid])]
    assert found == pytest.approx(best, abs=1e-3)
    whole_j = 1e12 / 10e9 * 3.0
    assert joules(best, static) == pytest.approx(1.5 * static / best * whole_j, rel=1e-12)
