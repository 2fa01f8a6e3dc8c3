"""Two mixed low-rank updates: against dense arithmetic, token by token."""

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from fl.peft.lora_pair import LoraPair, add_lora_pair
from tests.fl.fakes import classifier


def filled(base):
    pair = LoraPair(base, rank=3, alpha=6.0)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in pair.named_parameters():
        if not name.startswith("base_layer"):
            parameter.data = torch.randn(parameter.shape, generator=generator)
    return pair


@pytest.mark.parametrize("base", [nn.Linear(12, 7), Conv1D(7, 12)])
def test_each_token_mixes_both_products_by_its_own_softmax(base):
    pair = filled(base)
    hidden = torch.randn((2, 5, 12), generator=torch.Generator().manual_seed(3))
    found = pair(hidden)
    for text in range(2):
        for token in range(5):
            x = hidden[text, token]
            first, second = (pair.mixer @ x).exp()
            share = first / (first + second)
            mixed = share * (pair.lora_B @ pair.lora_A) + (1 - share) * (
                pair.world_B @ pair.world_A
            )
            torch.testing.assert_close(
                found[text, token], base(x) + 2.0 * mixed @ x, rtol=1e-4, atol=1e-4
            )


def test_a_fresh_pair_changes_no_bit_and_both_begin_alike():
    module = classifier()
    ids = torch.arange(24).reshape(2, 12)
    with torch.inference_mode():
        before = module(ids, torch.ones_like(ids))
    generator = torch.Generator().manual_seed(0)
    added = add_lora_pair(module, targets=["query"], rank=2, alpha=1.0, generator=generator)
    assert len(added) == 2 * 5
    with torch.inference_mode():
        assert torch.equal(module(ids, torch.ones_like(ids)), before)
    values = dict(module.named_parameters())
    for name in added:
        if name.endswith("lora_A"):
            assert torch.equal(values[name], values[name.replace("lora_A", "world_A")])
            assert values[name].any()
