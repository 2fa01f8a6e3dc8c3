"""Our LoRA is peft's: the same weights give the same scores and the same gradients."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model

from fl.peft.install import freeze, head_names, snapshot
from fl.peft.lora import add_lora, install_lora, query_and_value
from tests.fl.peft.architectures import ARCHITECTURES, generator, gradients, logits, tiny

RANK, ALPHA = 4, 8


def theirs_by_our_name(module):
    """Parameters of peft's LoRA under the names that ours have."""
    return {
        name.replace(".default.weight", ""): parameter
        for name, parameter in module.named_parameters()
        if ".lora_" in name
    }


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_scores_and_gradients_agree(name):
    ours, theirs = tiny(name), tiny(name)
    targets = query_and_value(ours)
    for module in (ours, theirs):
        freeze(module)
    added = add_lora(ours, targets=targets, rank=RANK, alpha=ALPHA, generator=generator())
    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=targets, fan_in_fan_out=name == "gpt2"
    )
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(config, theirs)
    parameters, copies = dict(ours.named_parameters()), theirs_by_our_name(theirs)
    assert copies.keys() == set(added)
    fresh = logits(ours)
    for number, key in enumerate(sorted(added)):
        parameters[key].data.normal_(std=0.2, generator=generator(number))
        copies[key].data.copy_(parameters[key].data)
    assert not torch.allclose(logits(ours), fresh)
    torch.testing.assert_close(logits(ours), logits(theirs), rtol=1e-6, atol=1e-6)
    one = gradients(ours, added)
    gradients(theirs, {key for key, each in theirs.named_parameters() if ".lora_" in key})
    for key, parameter in copies.items():
        scale = float(parameter.grad.abs().max())
        assert scale > 0
        torch.testing.assert_close(one[key], parameter.grad, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_installed_in_one_go_it_is_what_the_steps_make(name):
    stepwise, at_once = tiny(name), tiny(name)
    freeze(stepwise)
    added = add_lora(
        stepwise,
        targets=query_and_value(stepwise),
        rank=RANK,
        alpha=ALPHA,
        generator=generator(),
        scale_rank=2 * RANK,
    )
    expected = snapshot(stepwise, [*added, *head_names(stepwise)])
    initial = install_lora(
        at_once, rank=RANK, alpha=ALPHA, generator=generator(), scale_rank=2 * RANK
    )
    assert list(initial) == list(expected)
    assert all(torch.equal(initial[key], expected[key]) for key in expected)
    trained = {key for key, parameter in at_once.named_parameters() if parameter.requires_grad}
    assert trained == set(added)
    assert torch.equal(logits(at_once), logits(stepwise))
