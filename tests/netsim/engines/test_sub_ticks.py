"""Means over the instants of a tick, and how many there are."""

import numpy as np
import pytest
from scipy.special import j0

from netsim.engines.sub_ticks import MOST_INSTANTS, instants_per_tick, time_mean, time_means


def test_mean_is_over_time():
    values = np.array([[1.0, 10.0], [5.0, 20.0]])
    np.testing.assert_allclose(time_mean(np.array([0.03, 0.01]), values), [2.0, 12.5])


def test_weights_count_where_there_are_any():
    values = np.array([[1.0, 10.0], [5.0, 20.0]])
    weight = np.array([[0.0, 0.0], [0.5, 0.0]])
    over_time, weighted = time_means(
        np.array([0.03, 0.01]), (values,), weighted=(values,), weight=weight
    )
    np.testing.assert_allclose(over_time, [2.0, 12.5])
    np.testing.assert_allclose(weighted, [5.0, 12.5])


def test_one_instant_is_all_there_is():
    values = np.array([[3.0]])
    assert time_mean(np.array([np.inf]), values).tolist() == [3.0]
    means = time_means(np.array([np.inf]), (values,), weighted=(2 * values,), weight=0 * values)
    assert [mean.tolist() for mean in means] == [[3.0], [6.0]]


@pytest.mark.parametrize(
    ("is_followed", "doppler_hz", "number"),
    [
        (True, 0.0, 1),
        (True, 1.0, 1),
        (True, 5.0, 4),
        (True, 100.0, 8),
        (False, 5.0, 1),
        (False, 10.0, 2),  # walking
        (False, 32.0, 7),
        (False, 100.0, 8),  # 30 km/h
    ],
)
def test_faster_fades_are_looked_at_more_often(is_followed, doppler_hz, number):
    found = instants_per_tick(0.05, doppler_hz=doppler_hz, is_followed=is_followed)
    assert found == number <= MOST_INSTANTS


@pytest.mark.parametrize("cycles", [0.05, 0.1, 0.25, 0.49, 0.66, 1.0, 1.5, 2.0])
def test_mean_gain_of_a_tick_varies_as_under_rayleigh_fading(cycles):
    """Gains a time tau apart have the correlation J0(2 pi f_d tau)^2."""
    apart = np.linspace(0.0, cycles, 2001)
    of_time = np.trapezoid(2 * (1 - apart / cycles) * j0(2 * np.pi * apart) ** 2, apart) / cycles
    number = instants_per_tick(1.0, doppler_hz=cycles, is_followed=False)
    place = np.arange(number) * cycles / number
    of_instants = np.mean(j0(2 * np.pi * np.subtract.outer(place, place)) ** 2)
    assert 1.0 < np.sqrt(of_instants / of_time) < 1.1
