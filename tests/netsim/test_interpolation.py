"""Look-ups in regular tables."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from netsim.interpolation import RegularTable


@pytest.mark.parametrize("shape", [(4,), (5, 3), (2, 4, 3)])
def test_it_is_scipys_interpolation_and_holds_the_edges(shape):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, *shape))
    lowest, step = [-1.0, 2.0, 0.5][: len(shape)], [0.5, 1.0, 2.0][: len(shape)]
    table = RegularTable(values, lowest=lowest, step=step)
    knots = [low + by * np.arange(n) for low, by, n in zip(lowest, step, shape, strict=True)]
    at = [rng.uniform(axis[0] - 1.0, axis[-1] + 1.0, size=(50, 7)) for axis in knots]
    held = np.stack(
        [np.clip(each, axis[0], axis[-1]) for each, axis in zip(at, knots, strict=True)], axis=-1
    )
    for found, function in zip(table(*at), values, strict=True):
        expected = RegularGridInterpolator(knots, function)(held)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_arguments_broadcast():
    values = np.arange(24.0).reshape(1, 4, 6)
    table = RegularTable(values, lowest=(0.0, 0.0), step=(1.0, 1.0))
    (found,) = table(np.array([[0.0], [1.5]]), np.zeros(()) + 2.0)
    np.testing.assert_allclose(found, [[2.0], [11.0]])
