"""Proportional fair by its metric: against asking it cell by cell, and against water filling."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.mac.average_rate import AVERAGE_S, num_steps
from netsim.mac.mean_shares import MeanShares
from netsim.mac.metric_shares import metric_shares
from netsim.mac.schedulers.proportional_fair import ProportionalFair
from tests.netsim.mac.schedulers.cells import view_of

SLOT_S = 0.5e-3


def draw(seed, *, instants, sizes, groups, limited):
    """Rates of cells of some sizes: at an equal split, and with the whole band."""
    rng = np.random.default_rng(seed)
    num = sum(sizes)
    rate = rng.exponential(1e6, (instants, num, groups)) * rng.lognormal(0, 1, (num, 1))
    contenders = np.repeat(sizes, sizes)
    alone = rate.sum(axis=2)
    if limited:
        alone = alone * contenders ** -rng.uniform(0, 0.8, num)
    average = rate.mean(axis=(0, 2)) * groups / contenders
    return rate, alone, average, np.cumsum([0, *sizes[:-1]])


def time_shares(
    rate, alone, average, start, duration_s, *, backhaul_limit_bps=np.inf, slot_s=SLOT_S
):
    return metric_shares(
        ProportionalFair().metric,
        name="proportional_fair",
        group_rate_bps=rate,
        alone_bps=alone,
        average_bps=average,
        floor_bps=1e-3 * average,
        backhaul_limit_bps=backhaul_limit_bps,
        cell_start=start,
        duration_s=duration_s,
        slot_s=slot_s,
    )


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(2, 7),
    groups=st.sampled_from([1, 4]),
    limited=st.booleans(),
    is_limited_by_backhaul=st.booleans(),
)
def test_all_cells_at_once_give_what_asking_each_cell_gives(
    seed, size, groups, limited, is_limited_by_backhaul
):
    """Cells of one size, as steps go by the largest."""
    sizes, duration_s = [size] * 3, np.array([0.004, 0.00625, 0.00625])
    rate, alone, average, start = draw(
        seed, instants=3, sizes=sizes, groups=groups, limited=limited
    )
    most = 0.7 * average if is_limited_by_backhaul else np.full(len(average), np.inf)
    shares, activity = time_shares(rate, alone, average, start, duration_s, backhaul_limit_bps=most)
    for first in start:
        part = slice(first, first + size)
        asked, on_air = MeanShares(ProportionalFair(), name="asked", slot_s=SLOT_S).over(
            [view_of(each[part], average=average[part]) for each in rate],
            duration_s=duration_s,
            floor_bps=1e-3 * average[part],
            alone_bps=alone[:, part],
            backhaul_limit_bps=most[part],
        )
        np.testing.assert_allclose(shares[:, part], asked, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(activity[:, part], on_air, rtol=1e-9)


@pytest.mark.parametrize("limited", [False, True])
def test_short_steps_fill_up_like_water(limited):
    """In the limit of short steps the averages over rates, ``m``, fill up to one level.

    Who is served has the least ``m e^(t/tau)``, the others' stands still, and in all
    ``e^(d/tau) - 1`` is poured in, into vessels as wide as the rate compared over the one served.
    """
    duration_s = 0.05
    rate, alone, average, start = draw(3, instants=1, sizes=[6], groups=1, limited=limited)
    average = average * np.random.default_rng(1).uniform(0.9, 1.1, 6)
    width = rate[0].sum(axis=1) / alone[0]
    level = average / rate[0].sum(axis=1)
    poured = np.expm1(duration_s / AVERAGE_S)
    low, high = level.min(), level.max() + poured / width.min()
    for _ in range(200):
        middle = (low + high) / 2
        is_over = (np.maximum(middle - level, 0) * width).sum() > poured
        low, high = (low, middle) if is_over else (middle, high)
    expected = np.maximum(low - level, 0) * width / poured
    with patch("netsim.mac.average_rate.STEP_OF_AVERAGE", 1e-3):
        shares, _ = time_shares(rate, alone, average, start, np.array([duration_s]))
        fine, _ = time_shares(rate, alone, average, start, np.array([duration_s]), slot_s=1e-6)
    assert expected.sum() == pytest.approx(1.0)
    assert 0 < np.count_nonzero(expected) <= 6
    # Late time counts more in the poured water than in the share of time: by e^(d/tau) at most.
    np.testing.assert_allclose(fine[0, :, 0], expected, atol=0.03)
    np.testing.assert_allclose(shares[0, :, 0], fine[0, :, 0], atol=0.03)


def test_unequal_cells_and_who_is_out_of_reach():
    """With steps of a slot for all: as asked in each cell; who has no rate is not served."""
    sizes, duration_s, slot_s = [4, 7, 5], np.array([0.02, 0.03]), 0.01
    rate, alone, average, start = draw(9, instants=2, sizes=sizes, groups=3, limited=True)
    rate[:, 5], alone[:, 5] = 0.0, 0.0
    shares, activity = time_shares(rate, alone, average, start, duration_s, slot_s=slot_s)
    assert np.isfinite(shares).all()
    assert not shares[:, 5].any()
    for first, size in zip(start, sizes, strict=True):
        part = slice(first, first + size)
        asked, on_air = MeanShares(ProportionalFair(), name="asked", slot_s=slot_s).over(
            [view_of(each[part], average=average[part]) for each in rate],
            duration_s=duration_s,
            floor_bps=1e-3 * average[part],
            alone_bps=alone[:, part],
        )
        np.testing.assert_allclose(shares[:, part], asked, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(activity[:, part], on_air, rtol=1e-9)


def test_everything_is_given_out_and_the_idle_are_marked():
    rate, alone, average, start = draw(5, instants=2, sizes=[1, 8, 3], groups=4, limited=True)
    shares, activity = time_shares(rate, alone, average, start, np.array([0.002, 0.006]))
    np.testing.assert_allclose(np.add.reduceat(shares, start, axis=1), 1.0)
    assert np.all(shares[:, 0] == 1.0)
    assert np.all(activity[:, 0] == 1.0)
    assert np.all(shares.max(axis=2) <= activity + 1e-12)
    assert np.all((activity > 0) & (activity <= 1))


def test_equal_transfers_have_equal_time():
    rate, average = np.ones((1, 5, 2)), np.ones(5)
    shares, activity = time_shares(rate, rate.sum(axis=2), average, np.array([0]), np.array([0.05]))
    np.testing.assert_allclose(shares, 0.2)
    np.testing.assert_allclose(activity, 0.2)


def test_nobody_is_scheduled_for_long():
    """Twenty alike but for their averages: all are served within a tick, about as long."""
    rate, average = np.ones((1, 20, 1)), np.linspace(0.95, 1.05, 20) / 20
    shares, _ = time_shares(rate, rate.sum(axis=2), average, np.array([0]), np.array([0.05]))
    assert shares.min() > 0
    assert shares.max() < 0.1


def test_steps_are_the_shorter_the_more_contend():
    steps = num_steps(np.array([0.05, 0.05]), num_contenders=20, slot_s=SLOT_S)
    assert steps.tolist() == [67, 67]
    assert num_steps(np.array([0.05]), num_contenders=500, slot_s=SLOT_S).tolist() == [100]
    assert num_steps(np.array([1e-5]), num_contenders=2, slot_s=SLOT_S).tolist() == [1]


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (lambda rate, average: rate[0], r"metric must have a row for each of 3 transfers .*\(2,\)"),
        (lambda rate, average: rate[:2] / average[0], r"for each of 3 transfers .*\(2, 2\)"),
        (lambda rate, average: rate * np.nan, "metric must be numbers, got NaN"),
        (lambda rate, average: rate.nothing, "raised AttributeError"),
    ],
)
def test_a_metric_that_is_none_is_refused(metric, words):
    rate = np.ones((1, 3, 2))
    with pytest.raises((ValueError, RuntimeError), match=f"^scheduler mine: .*{words}"):
        metric_shares(
            metric,
            name="mine",
            group_rate_bps=rate,
            alone_bps=rate.sum(axis=2),
            average_bps=np.ones(3),
            floor_bps=np.ones(3),
            backhaul_limit_bps=np.inf,
            cell_start=np.array([0]),
            duration_s=np.array([0.05]),
            slot_s=SLOT_S,
        )
