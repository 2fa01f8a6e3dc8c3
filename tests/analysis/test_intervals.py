"""Ends of intervals and how they are written: never below 0 for what cannot be, none of equals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.intervals import drawn_half_width, interval_ends, is_exact, support_of
from analysis.units import with_interval


@given(
    mean=st.floats(1e-6, 1e9),
    ratio=st.floats(0.0, 50.0),
)
def test_no_interval_of_a_cost_reaches_below_zero_and_all_hold_the_mean(mean, ratio):
    low, high = interval_ends(mean, ratio * mean, support="positive")
    assert 0.0 <= low <= mean <= high


def test_a_narrow_interval_is_the_plain_one_and_a_score_may_be_negative():
    assert interval_ends(10.0, 4.0, support="positive") == (6.0, 14.0)
    assert interval_ends(0.1, 0.4, support="real") == pytest.approx((-0.3, 0.5))


def test_one_seed_has_no_ends():
    assert np.isnan(interval_ends(1.0, math.nan, support="positive")).all()


def test_wide_interval_is_symmetric_in_the_logarithm():
    low, high = interval_ends(3.0, 6.0, support="positive")
    assert low * high == pytest.approx(9.0)
    assert high == pytest.approx(3.0 * math.exp(2.0))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("energy_j", "positive"), ("at_s", "positive"), ("accuracy", "fraction"),
     ("answer_tokens", "positive"), ("rouge_l", "fraction"), ("reward", "real"),
     ("independent_reward", "real"), ("safety", "real")],
)  # fmt: skip
def test_scores_of_rewards_may_be_negative_and_costs_may_not(name, expected):
    assert support_of(name) == expected


@given(mean=st.floats(0.001, 0.999), half=st.floats(0.0, 50.0))
def test_no_interval_of_a_fraction_leaves_0_to_1_and_all_hold_the_mean(mean, half):
    low, high = interval_ends(mean, half, support="fraction")
    assert 0.0 <= low <= mean <= high <= 1.0


def test_wide_interval_of_a_fraction_is_symmetric_in_the_log_odds():
    low, high = interval_ends(0.8, 0.3, support="fraction")
    odds = [value / (1 - value) for value in (low, 0.8, high)]
    assert odds[0] * odds[2] == pytest.approx(odds[1] ** 2)
    assert math.log(odds[2] / odds[1]) == pytest.approx(0.3 / (0.8 * 0.2))
    assert with_interval(0.416, 4.8, decimals=3, support="fraction") == "0.416 (1.9e-09 to 1.00)"
    assert with_interval(0.8, 0.3, decimals=3, support="fraction") == "0.800 (0.38 to 0.96)"


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (527.0, 1600.0, "527 (25 to 11000)"),
        (0.5, 0.6, "0.500 (0.15 to 1.7)"),
        (2.0, 40.0, "2.00 (4.1e-09 to 9.7e+08)"),
        (0.812, 0.0, "0.812"),
        (0.812, 1e-17, "0.812"),
    ],
)
def test_text_of_a_quantity_that_cannot_be_negative(mean, half, text):
    assert with_interval(mean, half, decimals=3 if mean < 1 else None, support="positive") == text


def test_a_small_half_width_never_reads_as_zero():
    assert with_interval(0.81234, 0.0002, decimals=3) == "0.8123 ± 0.0002"


def test_rounding_is_no_interval():
    assert is_exact(0.7, 1e-16)
    assert not is_exact(0.7, 1e-6)


def test_two_seeds_are_drawn_as_their_range():
    half = drawn_half_width([12.706204736 * 0.5, 3.0], [2, 3])
    assert half == pytest.approx([0.5, 3.0])
