"""Means of what schedulers answer: equal to equals, closed form against asking, balance kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.config.radio import NoFading
from netsim.mac.average_rate import AVERAGE_S
from netsim.mac.mean_shares import STEPS_TO_BALANCE, STEPS_TO_FOLLOW, TIE_BREAK, MeanShares
from netsim.mac.schedulers import check_activity
from netsim.mac.schedulers.proportional_fair import ProportionalFair
from tests.netsim.mac.schedulers.cells import view_of
from tests.netsim.worlds import make_network, plain_radio, ring, run_all, still_world

TICK_S, SLOT_S = 0.05, 0.5e-3


class Plain:
    """Proportional fair without any trait or metric."""

    def shares(self, view):
        ratio = view.group_rate_bps / view.average_rate_bps[:, None]
        best = ratio >= ratio.max(axis=0) * (1 - 1e-9)
        return best / best.sum(axis=0)


class Asked:
    """Proportional fair without a word about means, and how often it was asked."""

    def __init__(self):
        self.times = 0

    def shares(self, view):
        self.times += 1
        return ProportionalFair().shares(view)


class AskedTurns(Asked):
    is_exclusive = True


class SmallFirst(Asked):
    """One that also looks at what is left."""

    def shares(self, view):
        self.times += 1
        if view.remaining_bits.min() > 1e6:
            return ProportionalFair().shares(view)
        first = view.remaining_bits == view.remaining_bits.min()
        return np.repeat(first[:, None], view.group_rate_bps.shape[1], axis=1).astype(float)


def mean_over(answer, view, *, horizon_s=np.inf, alone=1.0):
    whole = view.group_rate_bps.sum(axis=1)
    floor_bps = 1e-3 * whole / len(whole)
    shares, activity = answer.over(
        [view],
        duration_s=np.array([horizon_s]),
        floor_bps=floor_bps,
        alone_bps=alone * whole[None],
    )
    return shares[0], activity[0]


def mean_answer(scheduler):
    return MeanShares(scheduler, name=type(scheduler).__name__, slot_s=SLOT_S)


@pytest.mark.parametrize("direction", ["uplink", "downlink"])
@pytest.mark.parametrize("is_own", [False, True])
def test_clients_alike_end_together(direction, is_own):
    scheduler = f"{__file__}:Plain" if is_own else "proportional_fair"
    env, network = make_network(
        still_world(ring(3, radius_m=40.0)),  # near: no block is in error, nobody waits for one
        plain_radio(fading=NoFading(), scheduler=scheduler),
        own_scheduler=Plain if is_own else None,
    )
    rows = run_all(env, [network.send(k, direction, 1_000_000) for k in range(3)])
    finish_s = np.array([row.finished_at_s for row in rows])
    np.testing.assert_allclose(finish_s, finish_s[0], rtol=1e-9)


@pytest.mark.parametrize("scheduler", [ProportionalFair, AskedTurns, Asked])
@pytest.mark.parametrize("horizon_s", [TICK_S, np.inf])
@pytest.mark.parametrize("num", [2, 3, 7, 17])
@pytest.mark.parametrize("alone", [1.0, 0.3])
def test_equal_turns_for_transfers_alike(scheduler, horizon_s, num, alone):
    view = view_of(np.ones((num, 4)) * [1.0, 3.0, 2.0, 1.0])
    answer = mean_answer(scheduler())
    shares, activity = mean_over(answer, view, horizon_s=horizon_s, alone=alone)
    np.testing.assert_allclose(shares, 1 / num, rtol=1e-12)
    np.testing.assert_allclose(activity, 1 / num, rtol=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(1e3, 1e8), min_size=2, max_size=9), st.floats(0.1, 1.0))
def test_closed_form_is_where_asking_leads(rates, alone):
    view = view_of(np.array(rates)[:, None])
    shares, activity = mean_over(mean_answer(ProportionalFair()), view)
    for scheduler in (Asked(), AskedTurns()):
        asked, asked_activity = mean_over(mean_answer(scheduler), view, alone=alone)
        np.testing.assert_allclose(asked, shares, atol=2 / STEPS_TO_BALANCE)
        np.testing.assert_allclose(asked_activity, activity, atol=2 / STEPS_TO_BALANCE)


def test_closed_form_leaves_out_who_has_no_rate_and_selective_channels():
    shares, activity = ProportionalFair().steady_state_shares(view_of([[2.0], [0.0], [5.0]]))
    np.testing.assert_allclose(shares[:, 0], [0.5, 0.0, 0.5])
    np.testing.assert_allclose(activity, [0.5, 1.0, 0.5])
    shares, _ = ProportionalFair().steady_state_shares(
        view_of(np.zeros((4, 3)), average=np.ones(4))
    )
    np.testing.assert_allclose(shares, 0.25)
    assert ProportionalFair().steady_state_shares(view_of([[1.0, 2.0], [2.0, 1.0]])) is None


def test_balance_has_the_largest_sum_of_logarithms():
    """Optimality: no group would serve another better, rate over average, than who holds it."""
    rate = np.random.default_rng(3).exponential(size=(5, 12)) * 1e6
    shares, _ = mean_over(mean_answer(ProportionalFair()), view_of(rate))
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    ratio = rate / (shares * rate).sum(axis=1)[:, None]
    # The dual gap of the concave program bounds what is missing to the optimum, in nats.
    gap = ratio.max(axis=0).sum() - len(rate)
    assert 0 <= gap < 0.05 * len(rate)


@pytest.mark.parametrize("scheduler", [ProportionalFair, Asked])
def test_ticks_add_up_to_equal_time_whatever_the_rates(scheduler):
    rate = np.array([[1e6], [3e6], [1e7], [2e7]])
    answer, average, total = mean_answer(scheduler()), rate[:, 0] / 4, np.zeros(4)
    ticks, keep = 400, np.exp(-TICK_S / AVERAGE_S)
    for _ in range(ticks):
        shares, activity = mean_over(answer, view_of(rate, average=average), horizon_s=TICK_S)
        assert np.all(shares.max(axis=1) <= activity + 1e-12)
        served = shares[:, 0] * rate[:, 0]
        average = served + keep * (average - served)
        total += shares[:, 0] / ticks
    np.testing.assert_allclose(total, 0.25, rtol=0.02)


def test_a_balance_is_kept_until_something_changes():
    scheduler = Asked()
    answer = mean_answer(scheduler)
    rate = np.random.default_rng(5).exponential(size=(4, 2)) * 1e6
    first, _ = mean_over(answer, view_of(rate))
    before = scheduler.times
    assert before >= STEPS_TO_BALANCE
    again, _ = mean_over(answer, view_of(rate * 1.001))
    assert scheduler.times - before <= STEPS_TO_FOLLOW + 2
    np.testing.assert_allclose(again.mean(axis=1), first.mean(axis=1), atol=0.02)
    before = scheduler.times
    other, _ = mean_over(answer, view_of(rate[:3]))
    fresh, _ = mean_over(mean_answer(Asked()), view_of(rate[:3]))
    assert scheduler.times - before >= STEPS_TO_BALANCE
    np.testing.assert_array_equal(other, fresh)


def test_a_balance_is_dropped_when_answers_no_longer_agree_with_it():
    answer = mean_answer(SmallFirst())
    rate = np.array([[1e6], [1e6], [1e6]])
    mean_over(answer, view_of(rate))
    shares, activity = mean_over(answer, view_of(rate, remaining=[9e6, 5e5, 9e6]))
    np.testing.assert_allclose(shares[:, 0], [0.0, 1.0, 0.0])
    np.testing.assert_allclose(activity, 1.0)
    # The other way round, seen by the answers themselves: rates swap their groups.
    answer = mean_answer(Asked())
    rate = np.array([[9e6, 9e6, 1e6], [1e6, 1e6, 9e6]])
    mean_over(answer, view_of(rate))
    swapped, _ = mean_over(answer, view_of(rate[::-1].copy()))
    fresh, _ = mean_over(mean_answer(Asked()), view_of(rate[::-1].copy()))
    np.testing.assert_array_equal(swapped, fresh)


class Steady:
    """Half of the band for each, whatever the averages, and at which it was asked."""

    def __init__(self):
        self.averages = []

    def shares(self, view):
        self.averages.append(view.average_rate_bps)
        return np.full(view.group_rate_bps.shape, 0.5)


@pytest.mark.parametrize("horizon_s", [TICK_S, np.inf])
def test_who_does_not_look_at_averages_is_asked_twice_before_and_after_they_have_moved(horizon_s):
    scheduler, average = Steady(), np.array([2e6, 0.5e6])
    view = view_of([[1e6, 3e6], [2e6, 2e6]], average=average)
    shares, activity = mean_over(mean_answer(scheduler), view, horizon_s=horizon_s)
    assert (shares == 0.5).all()
    assert activity.tolist() == [1.0, 1.0]
    kept = np.exp(-horizon_s / AVERAGE_S)
    later = 2e6 + kept * (average - 2e6)  # half of the band carries 2 Mb/s
    apart = 1 + TIE_BREAK * np.arange(2)
    np.testing.assert_allclose(scheduler.averages, [average * apart, later * apart], rtol=1e-12)


def test_no_average_is_asked_about_below_the_floor():
    class Nothing(Steady):
        def shares(self, view):
            return 0.0 * super().shares(view)

    scheduler = Nothing()
    mean_over(mean_answer(scheduler), view_of([[1e6], [2e6]], average=np.array([3e6, 4e6])))
    # The floor is a thousandth of an equal split.
    apart = 1 + TIE_BREAK * np.arange(2)
    np.testing.assert_allclose(scheduler.averages[1], np.array([500.0, 1000.0]) * apart)


def test_asking_goes_in_whole_rounds_so_that_equals_share_equally():
    """Of 16 or 200 answers and more, a multiple of the number of transfers."""
    for num in (3, 7):
        scheduler = Asked()
        answer = mean_answer(scheduler)
        mean_over(answer, view_of(np.ones((num, 1))), horizon_s=TICK_S)
        constant = 2  # asked first whether its answers depend on averages
        assert (scheduler.times - constant) % num == 0
        before = scheduler.times
        mean_over(answer, view_of(np.ones((num, 1))))
        settled = scheduler.times - before - constant
        assert settled % num == 0
        assert STEPS_TO_BALANCE <= settled < STEPS_TO_BALANCE + num


@pytest.mark.parametrize(
    ("activity", "rule"),
    [
        ([1.0], r"must have shape \(2,\) \(transfer\), got \(1,\)"),
        ([0.0, 1.0], r"must be in \(0, 1\]"),
        ([np.nan, 1.0], r"must be in \(0, 1\]"),
        ([0.5, 1.5], r"must be in \(0, 1\]"),
        ([0.5, 0.2], "at least the largest share"),
    ],
)
def test_an_activity_that_cannot_be_is_refused(activity, rule):
    with pytest.raises(ValueError, match=f"scheduler mine: activity .*{rule}"):
        check_activity(np.array(activity), np.full((2, 1), 0.5), name="mine")
