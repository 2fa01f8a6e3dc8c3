"""Selection of each client by a draw of its own."""

import numpy as np
import pytest

from fl.policies import RandomPolicyConfig, build_policy
from fl.policies.answer import checked_selection
from fl.policies.poisson import PoissonPolicy, PoissonPolicyConfig
from fl.server.config import FedBuffServer, SyncServer
from fl.server.rules import find_problems
from tests.fl.fakes import SMALLEST as METHODS
from tests.fl.fakes import federation, streams
from tests.fl.policies.views import view
from tests.fl.server.scalar import play


def test_draws_of_clients_are_independent_and_of_one_probability():
    policy, num_rounds = PoissonPolicy(PoissonPolicyConfig(probability=0.3)), 4000
    drawn = np.zeros((num_rounds, 10))
    for round_id in range(num_rounds):
        drawn[round_id, policy.select(view(), rng=streams()("cohort", round_id))] = 1
    assert np.abs(drawn.mean(axis=0) - 0.3).max() < 4.5 * np.sqrt(0.21 / num_rounds)
    # Of independent draws the number is binomial; of a fixed number it has no variance.
    assert drawn.sum(axis=1).var() == pytest.approx(10 * 0.21, rel=0.1)
    apart = np.corrcoef(drawn.T) - np.eye(10)
    assert np.abs(apart).max() < 4.5 / np.sqrt(num_rounds)


def test_nobody_is_an_answer_of_this_policy_alone():
    policy = build_policy(PoissonPolicyConfig(probability=1e-9))
    assert checked_selection(policy, view(), rng=np.random.default_rng(1)) == []
    policy = build_policy(RandomPolicyConfig(num_clients=1))
    policy.select = lambda *_, **__: []
    with pytest.raises(ValueError, match="at least one of 10 candidates, got none"):
        checked_selection(policy, view(), rng=np.random.default_rng(1))


def test_a_round_without_anybody_passes_at_once_and_changes_nothing():
    policy = PoissonPolicyConfig(probability=1e-9)
    played = federation(METHODS["head"], num_clients=4, num_rounds=2, policy=policy)
    before = played.state
    rows = play(played).rounds
    assert [(row.num_selected, row.finished_at_s) for row in rows] == [(0, 0.0), (0, 0.0)]
    assert played.state is before


def test_modes_without_rounds_are_refused():
    policy = PoissonPolicyConfig(probability=0.5)
    methods = [METHODS["head"]]
    sync = SyncServer(num_rounds=2, policy=policy)
    assert find_problems(sync, num_clients=4, methods=methods) == []
    other = FedBuffServer(num_rounds=2, policy=policy, buffer_size=2)
    found = [(each.path, each.message) for each in find_problems(
        other, num_clients=4, methods=methods)]  # fmt: skip
    rule = "poisson draws clients round by round, for mode sync or deadline; got fedbuff"
    assert (("server", "policy", "kind"), rule) in found
