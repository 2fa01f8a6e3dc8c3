"""Shared adapters, personal LoRA, and its alignment in a second phase."""

import pytest
import torch

from fl.methods.pwff.config import PairAlignment, PolicyAlignment, PwffConfig
from fl.training.objective import TASK_LOSS, Phases, PolicyReward, PreferencePairs
from tests.fl.fakes import POLICY, language_model
from tests.fl.methods.recorded import recorded
from tests.fl.methods.updates import installed


def payload_numbers(shape, version):
    d, dim = shape.hidden, 8
    numbers = 2 * shape.layers * (2 * d * dim + d + dim)
    return numbers, numbers


@pytest.mark.parametrize(
    ("alignment", "second"),
    [
        (PolicyAlignment(policy=POLICY), PolicyReward(policy=POLICY)),
        (PairAlignment(kl_weight=0.3, num_steps=2), PreferencePairs(kl_weight=0.3, num_steps=2)),
    ],
)
def test_lora_alone_is_aligned_after_the_task(alignment, second):
    method, _ = installed(PwffConfig(alignment=alignment), module=language_model())
    objective = method.objective
    assert isinstance(objective, Phases)
    assert (objective.first, objective.second) == (TASK_LOSS, second)
    assert all(name.endswith(objective.second_trained) for name in method.own)
    assert not any(name.endswith(objective.second_trained) for name in method.shared)
    assert all("lora" in name for name in method.own)


def test_only_adapters_travel_and_lora_moves():
    played, method = recorded("pwff", num_rounds=2)
    assert all(".adapter." in name for name in played.state.tensors)
    names = [name for name in method.method.own if name.endswith("lora_B")]
    assert names
    for client_id in played.client_ids:
        personal = played.personal.of(client_id)
        assert all(bool(torch.any(personal[name] != 0)) for name in names)


def test_needs_what_its_alignment_needs():
    by_policy, by_pairs = PwffConfig(), PwffConfig(alignment=PairAlignment())
    assert (by_policy.uses_rewards, by_policy.uses_pairs) == (True, False)
    assert (by_pairs.uses_rewards, by_pairs.uses_pairs) == (False, True)
    rules = dict(by_policy.find_problems(num_clients=4, task="classification"))
    assert rules[("kind",)].startswith("needs texts that are written")
