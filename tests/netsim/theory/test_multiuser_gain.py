"""Ladder step 16, closed forms: multiuser gain of proportional fair."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import exp1

from tests.netsim.theory.multiuser_gain import (
    best_user_capacity,
    mean_best_gain,
    proportional_fair_gain,
)

USERS = [1, 2, 4, 8, 16, 32]


def test_mean_gain_is_the_harmonic_number():
    found = [mean_best_gain(num) for num in USERS]
    np.testing.assert_allclose(found, [1, 1.5, 2.0833, 2.7179, 3.3807, 4.0585], atol=5e-5)


@pytest.mark.parametrize(
    ("mean_db", "expected"),
    [
        (0, [0.8603, 1.1994, 1.5284, 1.8222, 2.0768, 2.2970]),
        (10, [2.9065, 3.6586, 4.2427, 4.6865, 5.0340, 5.3160]),
    ],
)
def test_capacity_of_the_best_user(mean_db, expected):
    found = [best_user_capacity(num, 10 ** (mean_db / 10)) for num in USERS]
    np.testing.assert_allclose(found, expected, rtol=0, atol=6e-5)


@given(num=st.integers(2, 12), mean_db=st.floats(-10, 25))
def test_equals_the_alternating_sum(num, mean_db):
    mean = 10 ** (mean_db / 10)
    terms = [
        (-1) ** (k + 1) * comb(num, k) * np.exp(k / mean) * exp1(k / mean)
        for k in range(1, num + 1)
    ]
    assert best_user_capacity(num, mean) == pytest.approx(sum(terms) / np.log(2), rel=1e-6)


def test_equals_simulated_proportional_fair():
    rng = np.random.default_rng(4)
    gains = rng.exponential(size=(200_000, 8))
    found = np.log2(1 + 10 * gains.max(axis=1)).mean() / np.log2(1 + 10 * gains).mean()
    assert found == pytest.approx(proportional_fair_gain(8, 10.0), rel=0.005)
    shares = np.bincount(gains.argmax(axis=1), minlength=8) / len(gains)
    np.testing.assert_allclose(shares, 1 / 8, atol=4 * np.sqrt(1 / 8 * 7 / 8 / len(gains)))


@given(num=st.integers(1, 2000), mean_db=st.floats(-60, 60))
def test_gain_is_at_least_one_and_at_most_the_users(num, mean_db):
    gain = proportional_fair_gain(num, 10 ** (mean_db / 10))
    assert 1 - 1e-6 <= gain <= mean_best_gain(num) + 1e-6


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match="num_users: must be >= 1, got 0"):
        mean_best_gain(0)
    with pytest.raises(ValueError, match="mean_sinr_linear: must be > 0"):
        best_user_capacity(2, 0.0)
