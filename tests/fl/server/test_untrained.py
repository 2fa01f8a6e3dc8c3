"""Expected number of clients that are never drawn."""

import numpy as np
import pytest

from fl.policies import AllPolicyConfig, RandomPolicyConfig
from fl.server.config import FedBuffServer, SyncServer
from fl.server.untrained import expected_untrained, find_warnings


def test_the_closed_form_is_the_mean_of_draws():
    rng, counts = np.random.default_rng(0), []
    for _ in range(4000):
        seen = np.concatenate([rng.choice(12, size=3, replace=False) for _ in range(5)])
        counts.append(12 - len(np.unique(seen)))
    expected = expected_untrained(12, cohort=3, num_rounds=5)
    assert np.mean(counts) == pytest.approx(expected, abs=4 * np.std(counts) / 4000**0.5)


def test_a_study_is_warned_if_clients_are_likely_left_out():
    few = SyncServer(num_rounds=10, policy=RandomPolicyConfig(num_clients=4))
    (line,) = find_warnings(few, num_clients=20)
    assert "10 rounds of 4 of 20 clients" in line
    assert "leave 2.1 clients untrained" in line  # 20 x 0.8^10
    assert find_warnings(few, num_clients=5) == []
    every = SyncServer(num_rounds=1, policy=AllPolicyConfig())
    assert find_warnings(every, num_clients=20) == []
    buffered = FedBuffServer(num_rounds=1, policy=RandomPolicyConfig(num_clients=2), buffer_size=2)
    assert find_warnings(buffered, num_clients=20) == []
