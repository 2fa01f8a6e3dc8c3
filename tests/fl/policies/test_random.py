"""Selection uniformly at random."""

import numpy as np

from fl.policies.random import RandomPolicy, RandomPolicyConfig
from tests.fl.fakes import streams
from tests.fl.policies.views import view


def test_each_client_is_selected_equally_often():
    policy, num_rounds = RandomPolicy(RandomPolicyConfig(num_clients=4)), 2000
    counts = np.zeros(10)
    for round_id in range(num_rounds):
        counts[policy.select(view(), rng=streams()("cohort", round_id))] += 1
    tolerance = 4.5 * np.sqrt(0.4 * 0.6 / num_rounds)
    assert np.all(np.abs(counts / num_rounds - 0.4) < tolerance)
    assert counts.sum() == 4 * num_rounds
