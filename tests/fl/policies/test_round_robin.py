"""Selection in turn."""

from fl.policies.round_robin import RoundRobinPolicy, RoundRobinPolicyConfig
from tests.fl.policies.views import view


def test_clients_come_in_turn():
    policy, last_round, cohorts = (
        RoundRobinPolicy(RoundRobinPolicyConfig(num_clients=2)),
        [0] * 5,
        [],
    )
    for round_id in range(1, 6):
        cohorts.append(policy.select(view(5, last_round=last_round), rng=None))
        for client_id in cohorts[-1]:
            last_round[client_id] = round_id
    assert cohorts == [[0, 1], [2, 3], [4, 0], [1, 2], [3, 0]]
