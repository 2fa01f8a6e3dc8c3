"""TiFL: tiers by hand, chances, credits."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fl.policies.tifl import (
    TiflPolicy,
    TiflPolicyConfig,
    asks,
    build,
    find_problems,
    tier_chances,
)
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


ALL_OPEN = np.ones(3, dtype=bool)


@pytest.mark.parametrize(
    ("by", "accuracies", "is_open", "expected"),
    [
        ("rank", [0.9, 0.5, 0.7], [1, 1, 1], [1 / 6, 3 / 6, 2 / 6]),
        ("rank", [0.9, 0.5, 0.7], [1, 0, 1], [1 / 3, 0, 2 / 3]),
        ("rank", [0.5, 0.5, 0.5], [1, 1, 1], [3 / 6, 2 / 6, 1 / 6]),
        ("error", [0.9, 0.5, 0.7], [1, 1, 1], [0.1 / 0.9, 0.5 / 0.9, 0.3 / 0.9]),
        ("error", [0.9, 0.5, 0.7], [1, 0, 1], [0.25, 0, 0.75]),
        ("error", [1.0, 0.5, 1.0], [1, 0, 1], [0.5, 0, 0.5]),
    ],
)
def test_chances_by_accuracy_in_closed_form(by, accuracies, is_open, expected):
    found = tier_chances(np.array(accuracies), by=by, is_open=np.array(is_open, dtype=bool))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def adaptive(**settings):
    return build(TiflPolicyConfig(num_clients=2, num_tiers=3, adapt_rounds=4, **settings))


def seen_in(round_id, accuracy=None, **columns):
    """Three tiers, {1, 3}, {2, 5} and {0, 4}, and what clients have answered."""
    seen = view(6, round_id=round_id, forecast=Foreseen(compute_s=SECONDS), **columns)
    if accuracy is None:
        return seen
    told = np.array(accuracy, dtype=float)
    return replace(seen, candidates=replace(seen.candidates, asked_accuracy=told))


TIERS = [{1, 3}, {2, 5}, {0, 4}]


def step(policy, rng, round_id, accuracy=None):
    """Let it ask and select in a round; return whom it asked and the tier that it drew."""
    asked = policy.ask(seen_in(round_id), rng=rng)
    chosen = policy.select(seen_in(round_id, accuracy if asked else None), rng=rng)
    return asked, TIERS.index(set(chosen))


def shares(policy, rng, *, from_round):
    times = np.zeros(3)
    for _ in range(1500):
        times[TIERS.index(set(policy.select(seen_in(from_round), rng=rng)))] += 1
    return times / 1500


def test_all_clients_are_asked_at_first_and_every_so_many_rounds():
    policy, rng = adaptive(), np.random.default_rng(1)
    found = {round_id: step(policy, rng, round_id, [0.5] * 6)[0] for round_id in range(1, 11)}
    assert [round_id for round_id, asked in found.items() if asked] == [1, 5, 9]
    assert sorted(found[5]) == list(range(6))


def test_some_of_each_tier_are_asked_where_all_need_not_be():
    policy = adaptive(num_asked=1)
    asked = policy.ask(seen_in(1), rng=np.random.default_rng(1))
    assert [len(tier & set(asked)) for tier in TIERS] == [1, 1, 1]


@pytest.mark.parametrize(
    ("by", "expected"), [("rank", [2 / 6, 3 / 6, 1 / 6]), ("error", [1 / 3, 7 / 15, 1 / 5])]
)
def test_tiers_of_low_accuracy_are_drawn_more_often_once_the_last_one_is_no_better(by, expected):
    """Accuracies stay: 0.5 of tier 0, 0.3 of tier 1 (weighted by 3 and 6 texts) and 0.7."""
    policy, rng = adaptive(adapts_by=by), np.random.default_rng(3)
    texts = np.array([3, 1, 3, 1, 3, 6])
    accuracy = [0.7, 0.5, 0.5, 0.5, 0.7, 0.2]
    for round_id in (1, 5):
        policy.ask(seen_in(round_id, num_samples=texts), rng=rng)
        policy.select(seen_in(round_id, accuracy, num_samples=texts), rng=rng)
    np.testing.assert_allclose(shares(policy, rng, from_round=6), expected, atol=4 * 0.0129)


def test_chances_stay_while_the_tier_drawn_last_gets_better():
    policy, rng = adaptive(chances=(6.0, 3.0, 1.0)), np.random.default_rng(4)
    step(policy, rng, 1, [0.5] * 6)
    step(policy, rng, 5, [0.6] * 6)
    found = shares(policy, rng, from_round=6)
    np.testing.assert_allclose(found, [0.6, 0.3, 0.1], atol=4 * 0.0127)


def test_tiers_without_credits_are_left_out_until_all_are_used_up():
    policy, rng = adaptive(credits=3), np.random.default_rng(5)
    told = [0.9, 0.1, 0.5, 0.1, 0.9, 0.5]
    drawn = [step(policy, rng, round_id, told)[1] for round_id in range(1, 19)]
    assert [sorted(drawn[:9]), sorted(drawn[9:])] == [[0, 0, 0, 1, 1, 1, 2, 2, 2]] * 2


def test_a_tier_without_an_answer_keeps_its_accuracy_or_gets_the_mean_of_the_others():
    policy, rng = adaptive(), np.random.default_rng(6)
    nobody = math.nan
    step(policy, rng, 1, [0.3, nobody, 0.5, nobody, 0.3, 0.5])
    np.testing.assert_allclose(policy._accuracies, [0.4, 0.5, 0.3])
    step(policy, rng, 5, [nobody, 0.2, nobody, 0.2, nobody, nobody])
    np.testing.assert_allclose(policy._accuracies, [0.2, 0.5, 0.3])
    step(policy, rng, 9, [nobody] * 6)
    np.testing.assert_allclose(policy._accuracies, [0.2, 0.5, 0.3])


def test_settings_of_adapting_need_it():
    for settings, key in (({"adapts_by": "error"}, "adapts_by"), ({"num_asked": 2}, "num_asked")):
        config = TiflPolicyConfig(num_clients=2, **settings)
        value = settings[key]
        assert [*find_problems(config)] == [
            (key, f"has no effect without adapt_rounds, got {value}")
        ]
        assert not [*find_problems(replace(config, adapt_rounds=3))]
    assert asks(TiflPolicyConfig(num_clients=2, adapt_rounds=3))
    assert not hasattr(build(TiflPolicyConfig(num_clients=2)), "ask")
