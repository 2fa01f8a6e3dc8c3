"""Federated prompt tuning."""

import pytest

from fl.methods.prompt_tuning.config import PromptTuningConfig
from tests.fl.fakes import MAX_TOKENS, federation
from tests.fl.methods.updates import installed, numbers_on_roberta_base


def payload_numbers(shape, version):
    d, classes = shape.hidden, shape.num_classes
    numbers = 20 * d + d * classes + classes
    return numbers, numbers


def test_numbers_on_roberta_base():
    assert numbers_on_roberta_base(PromptTuningConfig(num_virtual_tokens=20)) == 15_360


def test_prompt_and_head_are_all_that_trains():
    method, _ = installed(PromptTuningConfig())
    assert set(method.initial) == {"encoder.prompt", "head.weight", "head.bias"}


def test_texts_that_leave_no_room_are_refused():
    assert federation(PromptTuningConfig(num_virtual_tokens=20)).facts().num_trainable
    message = (
        rf"^model\.max_tokens: must be at most 11 with the 21 virtual tokens of prompt_tuning, "
        rf"as 'fake' has 32 positions, got {MAX_TOKENS}$"
    )
    with pytest.raises(ValueError, match=message):
        federation(PromptTuningConfig(num_virtual_tokens=21))


def test_virtual_tokens_cost_operations():
    flops = [
        federation(PromptTuningConfig(num_virtual_tokens=count)).facts().largest_step_flop
        for count in (1, 8, 20)
    ]
    assert flops == sorted(flops)
    # A token of the text costs what a virtual one does: 12 + 8 tokens against 12 + 1.
    assert flops[1] / flops[0] > 20 / 13
