"""Accuracy on held-out pairs and its interval, against values by hand."""

import numpy as np
import pytest

from fl.rewards.held_out import summarise, wilson_interval


def test_ties_are_half_right():
    found = summarise(np.array([2.0, 1.0, 0.0, 3.0]), np.array([1.0, 1.0, 1.0, 1.0]))
    assert found.accuracy == 2.5 / 4
    assert (found.mean, found.num_pairs) == (10 / 8, 4)
    assert found.std == pytest.approx(np.sqrt((4 + 0 * 0 + 9 + 5) / 8 - (10 / 8) ** 2))


@pytest.mark.parametrize(
    ("part", "num", "expected"),
    [  # Newcombe 1998, table I, method 3
        (81 / 263, 263, (0.2553, 0.3662)),
        (15 / 148, 148, (0.0624, 0.1605)),
        (0.0, 20, (0.0, 0.1611)),
        (1 / 29, 29, (0.0061, 0.1718)),
    ],
)
def test_intervals_of_wilson(part, num, expected):
    assert wilson_interval(part, num) == pytest.approx(expected, abs=5e-5)


def test_an_interval_stays_within_zero_and_one():
    for num in range(1, 200):
        assert 0.0 <= wilson_interval(0.0, num)[0] < 1e-15
        assert 1.0 >= wilson_interval(1.0, num)[1] > 1 - 1e-15
