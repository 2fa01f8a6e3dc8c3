"""Settings of policy optimisation that do not go together."""

import pytest

from fl.training.policy_settings import PolicySettings


@pytest.mark.parametrize("algorithm", ["grpo", "rloo", "ppo"])
def test_defaults_go_together(algorithm):
    assert not PolicySettings(algorithm=algorithm).find_problems()


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_settings_of_a_value_head_are_refused_without_one(algorithm):
    settings = PolicySettings(
        algorithm=algorithm, num_completions=1, value_learning_rate=0.1, gae_lambda=0.9
    )
    paths = [path for path, _ in settings.find_problems()]
    assert paths == [("num_completions",), ("value_learning_rate",), ("gae_lambda",)]
    assert all(algorithm in message for _, message in settings.find_problems())


def test_one_answer_is_enough_with_a_value_head():
    settings = PolicySettings(
        algorithm="ppo", num_completions=1, value_learning_rate=0.1, gae_lambda=0.9
    )
    assert not settings.find_problems()
