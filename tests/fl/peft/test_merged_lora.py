"""A dense update in a frozen layer, beside LoRA."""

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from fl.methods.fedit.config import FeditConfig
from fl.methods.flora.config import FloraConfig
from fl.peft.lora import LoraLinear
from fl.peft.merged_lora import MergedLora
from fl.training.cost import CostModel
from tests.fl.fakes import classifier
from tests.fl.methods.products import installed


def filled(base, *, rank=3, alpha=6.0):
    lora = LoraLinear(base, rank=rank, alpha=alpha)
    for factor in (lora.lora_A, lora.lora_B):
        nn.init.normal_(factor, generator=torch.Generator().manual_seed(1))
    return lora


@pytest.mark.parametrize("kind", ["linear", "conv1d", "no_bias"])
def test_layer_equals_its_dense_form(kind):
    base = Conv1D(5, 7) if kind == "conv1d" else nn.Linear(7, 5, bias=kind == "linear")
    lora = filled(base)
    layer, hidden = MergedLora(lora), torch.randn((4, 7))
    torch.testing.assert_close(layer(hidden), lora(hidden), rtol=1e-6, atol=1e-6)
    nn.init.normal_(layer.merged)
    expected = lora(hidden) + hidden @ layer.merged.T
    torch.testing.assert_close(layer(hidden), expected, rtol=1e-5, atol=1e-5)
    assert layer.merged.shape == (5, 7)


def test_an_untrained_layer_changes_no_bit():
    plain, module = classifier(), classifier()
    installed(FloraConfig(), module=module)
    ids = torch.arange(24).reshape(2, 12)
    mask = torch.ones_like(ids)
    assert torch.equal(module(ids, mask), plain(ids, mask))


def test_a_step_costs_the_operations_of_plain_lora():
    steps = []
    for config in (FloraConfig(rank=4), FeditConfig(rank=4)):
        module = classifier()
        method = installed(config, module=module)
        trainable = sorted(name for name in method.initial if "merged" not in name)
        cost = CostModel(module, max_tokens=12)
        steps.append(cost.step_flop(trainable, batch_size=2, num_tokens=5))
    assert steps[0] == steps[1] > 0
