"""TiFL: tiers by hand, chances, credits."""

import math

import numpy as np
import pytest

from fl.policies.tifl import TiflPolicy, TiflPolicyConfig, find_problems
from tests.fl.policies.views import Foreseen, view

SECONDS = np.array([8.0, 1.0, 5.0, 2.0, 9.0, 3.0])


def tiered(seen, **settings):
    policy = TiflPolicy(TiflPolicyConfig(num_clients=2, num_tiers=3, **settings))
    return [each.tolist() for each in policy.tiers(seen)]


def test_tiers_are_of_equal_size_by_what_was_foreseen_and_then_by_what_it_took():
    forecast = Foreseen(compute_s=SECONDS)
    assert tiered(view(6, forecast=forecast)) == [[1, 3], [5, 2], [0, 4], []]
    # client 4 took 1.5 s (all else is foreseen with 1 s of upload)
    took = [math.nan] * 4 + [1.5, math.nan]
    assert tiered(view(6, forecast=forecast, last_duration_s=took)) == [[4, 1], [3, 5], [2, 0], []]


def test_who_is_out_of_coverage_is_in_no_tier():
    seen = view(6, forecast=Foreseen(compute_s=SECONDS), uplink_rate_bps=[0.0] + [1e6] * 5)
    assert tiered(seen) == [[1, 3], [5, 2], [4], [0]]


def test_a_cohort_is_of_one_tier_and_tiers_have_their_chances():
    policy = TiflPolicy(TiflPolicyConfig(num_clients=2, num_tiers=3, chances=(6.0, 3.0, 1.0)))
    rng, times = np.random.default_rng(4), np.zeros(3)
    tiers = [{1, 3}, {2, 5}, {0, 4}]
    for _ in range(1500):
        times[
            tiers.index(set(policy.select(view(6, forecast=Foreseen(compute_s=SECONDS)), rng=rng)))
        ] += 1
    np.testing.assert_allclose(times / 1500, [0.6, 0.3, 0.1], atol=4 * 0.0127)


def test_a_tier_that_is_too_small_is_filled_from_the_nearest():
    policy = TiflPolicy(TiflPolicyConfig(num_clients=3, num_tiers=3, chances=(1e-9, 1.0, 1e-9)))
    rng = np.random.default_rng(1)
    for _ in range(20):
        found = set(policy.select(view(6, forecast=Foreseen(compute_s=SECONDS)), rng=rng))
        assert {2, 5} < found < {2, 5, 1, 3}  # the faster neighbour first


def test_with_credits_each_tier_is_drawn_as_often_as_it_may():
    policy = TiflPolicy(TiflPolicyConfig(num_clients=2, num_tiers=3, credits=2))
    rng, drawn = np.random.default_rng(2), []
    tiers = [{1, 3}, {2, 5}, {0, 4}]
    for _ in range(12):
        found = policy.select(view(6, forecast=Foreseen(compute_s=SECONDS)), rng=rng)
        drawn.append(tiers.index(set(found)))
    assert [sorted(drawn[:6]), sorted(drawn[6:])] == [[0, 0, 1, 1, 2, 2]] * 2


def test_tiers_stay_until_clients_are_profiled_anew():
    policy = TiflPolicy(TiflPolicyConfig(num_clients=2, num_tiers=3, profile_rounds=5))
    slow = np.where(np.arange(6) == 1, 99.0, SECONDS)

    def first_tier(round_id, seconds):
        return policy.tiers(view(6, round_id=round_id, last_duration_s=seconds))[0].tolist()

    assert first_tier(1, SECONDS) == [1, 3]
    assert first_tier(4, slow) == [1, 3]
    assert first_tier(5, slow) == [3, 5]


def test_chances_are_one_a_tier():
    config = TiflPolicyConfig(num_clients=2, num_tiers=3, chances=(1.0, 2.0))
    assert [*find_problems(config)] == [("chances", "must be 3 numbers, one a tier, got 2")]
    with pytest.raises(StopIteration):
        next(find_problems(TiflPolicyConfig(num_clients=2)))
