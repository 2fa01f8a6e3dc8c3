"""LoRA and bottleneck adapters in every architecture: reached by gradients, counted by formula."""

import pytest
import torch

from fl.peft.bottleneck import add_bottleneck_adapters
from fl.peft.install import freeze
from fl.peft.lora import add_lora, query_and_value
from fl.peft.places import adapter_places
from tests.fl.peft.architectures import ARCHITECTURES, generator, gradients, logits, sizes, tiny

NAMES = sorted(ARCHITECTURES)


def lora_numbers(name, rank):
    """Sum of ``r (in + out)``: query and value, or the fused layer of GPT-2; two blocks of 32."""
    outs = {"gpt2": [96], "llama": [32, 16]}.get(name, [32, 32])
    return 2 * sum(rank * (32 + out) for out in outs)


@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_takes_both(name):
    module = tiny(name)
    freeze(module)
    before = logits(module)
    lora = add_lora(module, targets=query_and_value(module), rank=4, alpha=8, generator=generator())
    adapters = add_bottleneck_adapters(module, dim=5, generator=generator())
    assert sizes(module, adapters) == 2 * 2 * (2 * 32 * 5 + 32 + 5)
    assert sizes(module, lora) == lora_numbers(name, rank=4)
    assert torch.equal(logits(module), before)
    parameters = dict(module.named_parameters())
    for names in (lora, adapters):
        for added in names:
            parameters[added].data.normal_(generator=generator(2))
        after = logits(module)
        assert not torch.allclose(after, before)
        before = after
    found = gradients(module, {*lora, *adapters})
    assert all(gradient.abs().max() > 0 for gradient in found.values())


@pytest.mark.parametrize("name", NAMES)
def test_one_place_a_block(name):
    module = tiny(name)
    both = adapter_places(module)
    attention = adapter_places(module, after="attention")
    mlp = adapter_places(module, after="mlp")
    assert len(attention) == len(mlp) == 2
    assert both == [attention[0], mlp[0], attention[1], mlp[1]]
    names = add_bottleneck_adapters(module, dim=5, generator=generator(), after="mlp")
    assert {key.partition(".adapter.")[0] for key in names} == set(mlp)
    assert sizes(module, names) == 2 * (2 * 32 * 5 + 32 + 5)
