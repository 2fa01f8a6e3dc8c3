"""Charge decides: a floor, and chances in proportion to a power of it."""

import math

import numpy as np
import pytest

from fl.policies.energy_floor import EnergyFloorPolicy, EnergyFloorPolicyConfig
from fl.policies.view import NobodyFitsError
from tests.fl.policies.views import view


def policy(num_clients=1, **settings):
    return EnergyFloorPolicy(EnergyFloorPolicyConfig(num_clients=num_clients, **settings))


def seen(charge, **options):
    return view(len(charge), battery_j=4e4 * np.array(charge), battery_capacity_j=4e4, **options)


def test_nobody_below_the_floor_takes_part():
    made = seen([0.1, 0.2, 0.19, 0.9])
    assert sorted(policy(4).select(made, rng=np.random.default_rng(1))) == [1, 3]


def test_chances_go_by_the_square_of_the_charge():
    rng, charge = np.random.default_rng(2), np.array([0.25, 0.5, 1.0])
    times = np.zeros(3)
    for _ in range(4000):
        times[policy().select(seen(charge), rng=rng)] += 1
    np.testing.assert_allclose(times / 4000, charge**2 / 1.3125, atol=4 * 0.0078)


def test_a_device_on_mains_counts_as_full():
    rng, times = np.random.default_rng(3), np.zeros(2)
    for _ in range(4000):
        times[policy().select(seen([0.5, math.nan]), rng=rng)] += 1
    np.testing.assert_allclose(times / 4000, [0.2, 0.8], atol=4 * 0.0064)


def test_empty_batteries_are_told():
    with pytest.raises(
        NobodyFitsError, match=r"^min_fraction: no battery is .* the fullest to 0\.1$"
    ):
        policy().select(seen([0.1, 0.05]), rng=np.random.default_rng(1))
