"""What holds for every policy of the table."""

import pytest

from fl.policies import POLICIES, RandomPolicyConfig, build_policy, find_problems
from fl.policies.all import AllPolicyConfig
from fl.policies.best_channel import BestChannelPolicyConfig
from fl.policies.round_robin import RoundRobinPolicyConfig
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import SMALLEST as METHODS
from tests.fl.fakes import federation, streams
from tests.fl.policies.views import view

SMALLEST = {
    "random": RandomPolicyConfig(num_clients=4),
    "all": AllPolicyConfig(),
    "round_robin": RoundRobinPolicyConfig(num_clients=4),
    "best_channel": BestChannelPolicyConfig(num_clients=4),
}


def test_every_policy_has_a_smallest_setting():
    assert POLICIES
    assert SMALLEST.keys() == POLICIES.keys()
    assert all(entry.summary and entry.source for entry in POLICIES.values())


@pytest.mark.parametrize("kind", sorted(POLICIES))
def test_cohort_is_a_set_of_clients_decided_by_the_address(kind):
    first = build_policy(SMALLEST[kind]).select(view(), rng=streams()("cohort", 1))
    assert len(set(first)) == len(first) > 0
    assert set(first) <= set(range(10))
    assert all(type(each) is int for each in first)
    assert build_policy(SMALLEST[kind]).select(view(), rng=streams()("cohort", 1)) == first


@pytest.mark.parametrize("kind", sorted(POLICIES))
def test_links_are_asked_for_only_where_they_are_read(kind):
    asked = []
    build_policy(SMALLEST[kind]).select(view(asked=asked), rng=streams()("cohort", 1))
    assert asked == ([list(range(10))] if kind == "best_channel" else [])


@pytest.mark.parametrize("kind", sorted(set(POLICIES) - {"all"}))
def test_all_are_taken_when_fewer_are_there(kind):
    chosen = build_policy(SMALLEST[kind]).select(view(3), rng=streams()("cohort", 1))
    assert sorted(chosen) == [0, 1, 2]
    (problem,) = find_problems(SMALLEST[kind], num_clients=3)
    assert problem.path == ("server", "policy", "num_clients")
    assert find_problems(SMALLEST[kind], num_clients=4) == []


@pytest.mark.parametrize("kind", sorted(POLICIES))
def test_a_federation_runs_under_it(kind):
    played = federation(METHODS["head"], num_clients=4, num_rounds=2)
    played.policy = build_policy(SMALLEST[kind])
    played.env.run(until=played.env.process(run_rounds(played)))
    assert [row.num_received for row in played.recorder.rounds] == [4, 4]
    assert played.roster.times_selected.tolist() == [2, 2, 2, 2]
    losses = {row.client_id: row.train_loss for row in played.recorder.clients}
    assert played.roster.last_loss.tolist() == [losses[each] for each in range(4)]
