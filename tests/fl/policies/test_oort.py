"""Oort: utility, penalty, bonus, exploration and pacer, by hand."""

import math

import numpy as np
import pytest

from fl.policies.oort import OortPolicy, OortPolicyConfig, find_problems
from tests.fl.policies.views import Foreseen, view

PLAIN = {"alpha": 0.0, "explore_fraction": 0.0, "min_explore_fraction": 0.0, "cut_off": 1.0}


def policy(num_clients=2, **settings):
    return OortPolicy(OortPolicyConfig(num_clients=num_clients, **settings))


def seen(*, loss, num=None, round_id=2, duration_s=5.0, last_received=1, **columns):
    loss = np.array(loss, dtype=float)
    return view(
        len(loss),
        round_id=round_id,
        last_rms_loss=loss,
        last_duration_s=np.where(np.isnan(loss), np.nan, duration_s),
        last_received=np.where(np.isnan(loss), 0, last_received),
        num_samples=10 if num is None else num,
        **columns,
    )


def test_without_penalty_and_exploration_the_highest_statistical_utility_wins():
    rng = np.random.default_rng(3)
    loss, num = rng.uniform(0.1, 3.0, size=50), rng.integers(5, 200, size=50)
    found = policy(7, **PLAIN, clip_quantile=1.0).select(seen(loss=loss, num=num), rng=rng)
    assert found == np.argsort(-loss * num)[:7].tolist()


@pytest.mark.parametrize("round_id", [1, 2, 10, 55, 56, 200])
def test_the_part_that_explores_decays_to_its_least(round_id):
    made = policy(10)
    part = max(0.9 * 0.98 ** (round_id - 1), 0.3)
    assert made.explore_fraction(round_id) == pytest.approx(part, rel=1e-12)
    loss = np.where(np.arange(100) < 50, 1.0, np.nan)
    rng = np.random.default_rng(round_id)
    found = np.array(made.select(seen(loss=loss, round_id=round_id), rng=rng))
    assert (found >= 50).sum() == round(10 * part)
    assert 0.9 * 0.98**54 > 0.3 > 0.9 * 0.98**55  # reached in round 56


def test_slow_clients_count_less_by_the_stated_power():
    # preferred: the 50th percentile of 4, 10, 20 is 10; the third counts (10 / 20)^2
    settings = {**PLAIN, "alpha": 2.0, "duration_percentile": 50.0, "clip_quantile": 1.0}
    loss, duration_s = [1.0, 2.0, 4.0], [4.0, 10.0, 20.0]
    # normalised: 0, 1/3, 1; the bonus of all is sqrt(0.1 ln 2)
    bonus = math.sqrt(0.1 * math.log(2))
    assert (1 / 3 + bonus) > (1 + bonus) / 4 > bonus
    found = policy(3, **settings).select(seen(loss=loss, duration_s=duration_s), rng=None)
    assert found == [1, 2, 0]


def test_who_was_not_heard_of_for_long_gets_a_bonus():
    # normalised 0, 0.5 and 1; bonuses of sqrt(0.1 ln 100 / L)
    bonus = [math.sqrt(0.1 * math.log(100) / last) for last in (1, 99, 99)]
    assert bonus[0] > 0.5 + bonus[1]
    found = policy(2, **PLAIN, clip_quantile=1.0).select(
        seen(loss=[1.0, 1.5, 2.0], round_id=100, last_received=[1, 99, 99]), rng=None
    )
    assert found == [2, 0]


def test_utilities_are_clipped():
    # quantile 0.5 of 1, 2, 3, 90 is 2.5: two are equal then, the first of them is taken
    found = policy(1, **PLAIN, clip_quantile=0.5).select(seen(loss=[1.0, 2.0, 3.0, 90.0]), rng=None)
    assert found == [2]


def test_draws_are_among_those_above_the_cut_off():
    settings = {**PLAIN, "cut_off": 0.5, "clip_quantile": 1.0}
    rng = np.random.default_rng(1)
    loss = [0.0, 0.2, 0.6, 0.9, 1.0]  # with the bonus of 0.263: 0.95 x ... : the pool is 2, 3, 4
    bonus = math.sqrt(0.1 * math.log(2))
    assert 0.6 + bonus > 0.5 * (1.0 + bonus) > 0.2 + bonus
    found = {policy(1, **settings).select(seen(loss=loss), rng=rng)[0] for _ in range(200)}
    assert found == {2, 3, 4}


def test_unknown_clients_are_drawn_by_their_speed():
    forecast = Foreseen(compute_s=np.array([1.0, 9.0]), upload_bytes=0.0)
    made = view(2, forecast=forecast)
    rng = np.random.default_rng(2)
    first = [policy(1).select(made, rng=rng)[0] for _ in range(2000)]
    assert np.mean(np.array(first) == 0) == pytest.approx(0.9, abs=4 * 0.0067)


def test_the_pacer_gives_more_time_when_utility_no_longer_grows():
    made = policy(1, **{**PLAIN, "alpha": 2.0}, pacer_rounds=2)
    percentiles = []
    for utility in (1.0, 2.0, 2.0, 3.0, 1.0, 2.0, 9.0, 9.0):
        made.select(seen(loss=[utility]), rng=None)
        percentiles.append(made._percentile)
    # sums of two rounds: 3, 5 (more), 3 (less: + 5), 18 (more)
    assert percentiles == [30.0] * 5 + [35.0] * 3


def test_settings_that_do_not_go_together_are_told():
    def told(**settings):
        config = OortPolicyConfig(num_clients=1, **settings)
        return [f"{key}: {rule}" for key, rule in find_problems(config)]

    assert told() == []
    assert told(explore_fraction=0.1) == [
        "min_explore_fraction: must be <= explore_fraction = 0.1, got 0.3"
    ]
    assert told(alpha=0.0, pacer_rounds=9) == ["pacer_rounds: has no effect with alpha 0, got 9"]
    assert told(alpha=0.0, pacer_step=0.0) == []
    assert told(pacer_step=0.0, pacer_rounds=9) == [
        "pacer_rounds: has no effect with pacer_step 0, got 9"
    ]
