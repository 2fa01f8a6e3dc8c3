"""Selection policies: valid cohorts, common draws, uniformity."""

import numpy as np
import pytest

from fl.policies import POLICIES, RandomPolicyConfig, build_policy, find_problems
from fl.policies.view import PolicyView
from tests.fl.fakes import streams

SMALLEST = {"random": RandomPolicyConfig(num_clients=4)}


def view(num_clients=10):
    return PolicyView(
        round=1,
        now_s=0.0,
        client_ids=range(num_clients),
        num_samples=[10] * num_clients,
        links=lambda client_ids: [],
        history=[],
    )


def test_every_policy_has_a_smallest_setting():
    assert POLICIES
    assert SMALLEST.keys() == POLICIES.keys()


@pytest.mark.parametrize("kind", sorted(POLICIES))
def test_cohort_is_a_set_of_clients_decided_by_the_address(kind):
    policy = build_policy(SMALLEST[kind])
    first = policy.select(view(), rng=streams()("cohort", 1))
    assert len(set(first)) == len(first) > 0
    assert set(first) <= set(range(10))
    assert build_policy(SMALLEST[kind]).select(view(), rng=streams()("cohort", 1)) == first


def test_random_selects_each_client_equally_often():
    policy, num_rounds = build_policy(SMALLEST["random"]), 2000
    counts = np.zeros(10)
    for round_id in range(num_rounds):
        counts[policy.select(view(), rng=streams()("cohort", round_id))] += 1
    tolerance = 4.5 * np.sqrt(0.4 * 0.6 / num_rounds)
    assert np.all(np.abs(counts / num_rounds - 0.4) < tolerance)
    assert counts.sum() == 4 * num_rounds


def test_random_takes_all_when_fewer_are_there():
    policy = build_policy(RandomPolicyConfig(num_clients=4))
    assert policy.select(view(3), rng=streams()("cohort", 1)) == [0, 1, 2]


def test_a_cohort_larger_than_the_clients_is_a_problem():
    (problem,) = find_problems(RandomPolicyConfig(num_clients=4), num_clients=3)
    assert problem.path == ("server", "policy", "num_clients")
    assert "got 4" in problem.message
    assert find_problems(RandomPolicyConfig(num_clients=3), num_clients=3) == []
