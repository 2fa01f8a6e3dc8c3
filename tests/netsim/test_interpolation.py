"""Look-ups in regular tables."""

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from netsim.interpolation import PairedTables, RegularTable


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


@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_pair_gives_what_its_tables_give(is_swapped):
    rng = np.random.default_rng(3)
    one = RegularTable(rng.normal(size=(2, 7, 12)), lowest=(-3.0, -6.0), step=(0.5, 1.5))
    other = RegularTable(rng.normal(size=(2, 4, 6)), lowest=(1.0, -1.5), step=(2.0, 1.5))
    if is_swapped:
        one, other = other, one
    of_one, of_other, shared = rng.uniform(-12.0, 14.0, size=(3, 5, 400))
    found = PairedTables(one, other)(of_one, of_other, shared)
    assert found.shape == (2, 2, 5, 400)
    # the place of the shared argument is counted from another knot, so it rounds otherwise
    np.testing.assert_allclose(found[:, 0], one(of_one, shared), rtol=0, atol=1e-13)
    np.testing.assert_allclose(found[:, 1], other(of_other, shared), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("lowest", "step"), [(-1.0, 1.5), (-1.5, 1.0)])
def test_a_pair_needs_one_grid_of_the_shared_argument(lowest, step):
    one = RegularTable(np.zeros((1, 2, 3)), lowest=(0.0, 0.0), step=(1.0, 1.5))
    other = RegularTable(np.zeros((1, 2, 3)), lowest=(0.0, lowest), step=(1.0, step))
    with pytest.raises(ValueError, match="must be on one grid"):
        PairedTables(one, other)
