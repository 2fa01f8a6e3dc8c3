"""Drawing with unequal chances, and taking the lowest keys without sorting all."""

import numpy as np
import pytest

from fl.policies.client_values import ClientValues
from fl.policies.drawing import draw_weighted, lowest, stable_order


@pytest.mark.parametrize("seed", range(20))
def test_the_lowest_are_those_of_a_full_sort(seed):
    rng = np.random.default_rng(seed)
    num = int(rng.integers(1, 40))
    keys, first, second = rng.integers(4, size=(3, num)).astype(float)
    keys[rng.random(num) < 0.2] = np.inf
    full = np.lexsort((np.arange(num), second, first, keys))
    for count in range(num + 1):
        assert lowest(keys, first, second, count=count).tolist() == full[:count].tolist()


def test_rows_of_no_weight_come_last_in_order():
    rng = np.random.default_rng(0)
    assert draw_weighted(np.array([0.0, 2.0, 0.0]), 3, rng=rng).tolist() == [1, 0, 2]


def test_chances_are_in_proportion_to_the_weights_left():
    rng, times = np.random.default_rng(1), np.zeros((3, 3))
    for _ in range(6000):
        first, second = draw_weighted(np.array([1.0, 2.0, 5.0]), 2, rng=rng)
        times[first, second] += 1
    weight = np.array([1.0, 2.0, 5.0])
    expected = np.outer(weight / 8, weight) / (8 - weight)[:, None]
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(times / 6000, expected, atol=4 * 0.0065)


def test_values_of_clients_are_nan_until_they_are_set():
    values = ClientValues()
    values.set(np.array([2, 5]), np.array([1.0, 4.0]))
    np.testing.assert_array_equal(values.of(np.array([0, 2, 5, 900])), [np.nan, 1.0, 4.0, np.nan])
    found = values.of(np.array([2]))
    found[:] = 7.0  # a copy
    assert values.of(np.array([2])).tolist() == [1.0]


@pytest.mark.parametrize("num", [0, 1, 2, 40, 400])
def test_rows_of_equal_keys_keep_their_order(num):
    rng = np.random.default_rng(num)
    for keys in (rng.random(num), rng.integers(9, size=num) / 4, np.full(num, np.inf)):
        assert stable_order(keys).tolist() == np.argsort(keys, kind="stable").tolist()
