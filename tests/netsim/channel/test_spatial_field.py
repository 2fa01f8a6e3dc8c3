"""The random field behind shadowing and line of sight."""

import numpy as np
import pytest
from scipy.stats import kstest

from netsim.channel.spatial_field import GaussianField

PLACES_M = 5000.0 * np.stack(np.meshgrid(*2 * [np.arange(10)]), axis=-1).reshape(-1, 1, 2)
"""100 places so far apart (41 correlation distances and more) that each is a sample of its own."""


def fields(num, *, correlation_m=37.0, num_waves=64):
    return [
        GaussianField(np.random.default_rng(seed), correlation_m=correlation_m, num_waves=num_waves)
        for seed in range(num)
    ]


def samples(offset_m, *, num=1000, correlation_m=37.0):
    """Values of many fields at points around many places: (sample, point)."""
    values = [f.value(PLACES_M + offset_m) for f in fields(num, correlation_m=correlation_m)]
    return np.concatenate(values)


@pytest.mark.parametrize("correlation_m", [7.0, 37.0, 120.0])
def test_correlation_is_exponential_in_distance(correlation_m):
    lags_m = np.array([0.0, 1.0, 10.0, 37.0, 50.0, 100.0])
    values = samples(np.stack([lags_m, np.zeros(6)], axis=1), correlation_m=correlation_m)
    found = values[:, 0] @ values / len(values)
    # Standard error over 100,000 samples: sqrt(2 / n) = 0.0045 of the variance, less elsewhere.
    np.testing.assert_allclose(found, np.exp(-lags_m / correlation_m), rtol=0, atol=0.03)


def test_correlation_does_not_depend_on_direction():
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ring_m = 20.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    values = samples(np.vstack([[0.0, 0.0], ring_m]))
    found = values[:, 0] @ values[:, 1:] / len(values)
    np.testing.assert_allclose(found, np.exp(-20 / 37), rtol=0, atol=0.03)


def test_value_is_standard_normal_over_worlds():
    values = np.array([f.value(np.array([12.0, 34.0])) for f in fields(5000, num_waves=256)])
    assert kstest(values, "norm").pvalue > 0.01
    uniform = np.array([f.uniform(np.array([12.0, 34.0])) for f in fields(5000, num_waves=256)])
    assert kstest(uniform, "uniform").pvalue > 0.01


def test_chunks_do_not_change_values():
    field = fields(1)[0]
    positions_m = np.random.default_rng(1).uniform(-1e3, 1e3, (70_000, 2))
    per_transmitter = field.value(positions_m)  # more than one chunk of 31,250 points
    picked = np.array([0, 31_249, 31_250, 62_500, 69_999])
    np.testing.assert_array_equal(per_transmitter[picked], field.value(positions_m[picked]))
    np.testing.assert_array_equal(per_transmitter[77], field.value(positions_m[77]))


def test_shape_of_positions_is_kept():
    assert fields(1)[0].value(np.zeros((3, 5, 2))).shape == (3, 5)
    assert fields(1)[0].value(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"correlation_m": 0.0}, "correlation_m: must be finite and > 0"),
        ({"correlation_m": np.inf}, "correlation_m: must be finite and > 0"),
        ({"correlation_m": 5.0, "num_waves": 0}, "num_waves: must be >= 1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        GaussianField(np.random.default_rng(1), **settings)
