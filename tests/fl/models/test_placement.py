"""A model that moves keeps the weights that it shares: steps cost the same anywhere."""

import pytest
import torch

from fl.models.placement import place
from fl.training.cost import CostModel
from tests.fl.fakes import install, language_model


def tied():
    module = language_model("gpt2")
    assert module.lm_head.weight is module.encoder.wte.weight
    return module


def test_shared_weights_stay_shared():
    module = tied()
    num_before = sum(each.numel() for each in module.parameters())
    place(module, "meta")
    assert module.lm_head.weight is module.encoder.wte.weight
    assert module.lm_head.weight.is_meta
    assert module.causal.lm_head.weight is module.lm_head.weight
    assert sum(each.numel() for each in module.parameters()) == num_before


@pytest.mark.parametrize("module", [tied, language_model])
def test_a_language_model_costs_the_same_without_values(module):
    here = module()
    method, here = install("fedit", here)
    trainable = tuple(sorted(method.initial))

    def counted():
        cost = CostModel(here, max_tokens=12)
        step = cost.count(trainable, batch_size=4, num_tokens=10, num_asked=8)
        flop = cost.step_flop(trainable, batch_size=3, num_tokens=7, num_asked=5)
        written = cost.generation_work(batch_size=2, prompt_tokens=5, new_tokens=4)
        return step, flop, written

    wanted = counted()
    place(here, "meta")
    assert counted() == wanted


def test_values_and_identity_stay_on_the_same_device():
    module = tied()
    before = {name: each.detach().clone() for name, each in module.named_parameters()}
    place(module, "cpu")
    assert all(torch.equal(each, before[name]) for name, each in module.named_parameters())
    assert module.lm_head.weight is module.encoder.wte.weight
