"""LoRA and bottleneck adapters: where they go, how many numbers, that they start neutral."""

import pytest
import torch
from torch import nn

from fl.peft.bottleneck import add_bottleneck_adapters
from fl.peft.lora import add_lora, query_and_value
from fl.peft.places import adapter_places
from tests.fl.fakes import classifier, roberta_base_on_meta
from tests.fl.peft.architectures import tiny


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def logits(module):
    input_ids = torch.arange(1, 21).reshape(2, 10)
    mask = torch.ones_like(input_ids)
    mask[1, 6:] = 0
    with torch.inference_mode():
        return module(input_ids, mask)


def sizes(module, names):
    parameters = dict(module.named_parameters())
    return sum(parameters[name].numel() for name in names)


@pytest.mark.parametrize("dim", [8, 16, 64])
def test_adapter_numbers_of_roberta_base(dim):
    module = roberta_base_on_meta()
    names = add_bottleneck_adapters(module, dim=dim, generator=generator())
    assert sizes(module, names) == 2 * 12 * (2 * 768 * dim + 768 + dim)
    assert sizes(module, names) == {8: 313_536, 16: 608_640, 64: 2_379_264}[dim]


def test_lora_numbers_of_roberta_base():
    module = roberta_base_on_meta()
    names = add_lora(
        module, targets=query_and_value(module), rank=8, alpha=16, generator=generator()
    )
    assert sizes(module, names) == 294_912
    assert len(names) == 2 * 2 * 12


def test_fresh_adapters_leave_logits_unchanged():
    module = classifier()
    before = logits(module)
    add_lora(module, targets=query_and_value(module), rank=4, alpha=8, generator=generator())
    assert torch.equal(logits(module), before)
    names = add_bottleneck_adapters(module, dim=5, generator=generator())
    assert torch.equal(logits(module), before)
    parameters = dict(module.named_parameters())
    ups = [name for name in names if name.endswith("up.weight")]
    parameters[ups[0]].data.normal_(generator=generator(2))
    assert not torch.allclose(logits(module), before)


def test_lora_is_w_plus_scaled_product():
    module = classifier()
    names = add_lora(
        module, targets=query_and_value(module), rank=4, alpha=8, generator=generator()
    )
    parameters = dict(module.named_parameters())
    for name in names:
        parameters[name].data.normal_(generator=generator(5))
    adapted = logits(module)
    plain = classifier()
    own = dict(plain.named_parameters())
    for a_name in [name for name in names if name.endswith(".lora_A")]:
        b_name = a_name.replace(".lora_A", ".lora_B")
        weight = own[a_name.partition(".lora_A")[0] + ".weight"]
        weight.data += 8 / 4 * parameters[b_name].data @ parameters[a_name].data
    torch.testing.assert_close(adapted, logits(plain), rtol=1e-4, atol=1e-5)


def test_starts_come_from_the_generator_alone():
    def start(seed):
        module = classifier()
        names = add_lora(
            module, targets=query_and_value(module), rank=4, alpha=8, generator=generator(seed)
        )
        names += add_bottleneck_adapters(module, dim=5, generator=generator(seed))
        return {name: dict(module.named_parameters())[name].detach() for name in names}

    state = torch.random.get_rng_state()
    first = start(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    again, other = start(1), start(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    a_name = next(name for name in first if name.endswith(".lora_A"))
    bound = 32**-0.5
    assert 0.5 * bound < first[a_name].abs().max() <= bound


def test_places_are_two_a_block_in_order():
    assert adapter_places(classifier(layers=2)) == [
        f"encoder.encoder.layer.{layer}.{place}"
        for layer in range(2)
        for place in ("attention.output.dense", "output.dense")
    ]


def test_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match=r"model\.name: no attention is found in a Sequential"):
        adapter_places(nn.Sequential(nn.Linear(3, 3)))


def test_rank_above_the_width_of_a_layer_is_refused():
    module = classifier(hidden=32)
    targets = query_and_value(module)
    with pytest.raises(ValueError, match=r"^rank: must be <= 32, .* layer encoder\..*, got 33$"):
        add_lora(module, targets=targets, rank=33, alpha=8, generator=generator())
    assert len(add_lora(module, targets=targets, rank=32, alpha=8, generator=generator())) == 8


def test_rank_is_bounded_by_the_narrowest_layer():
    module = tiny("llama")  # values are half as wide as queries
    with pytest.raises(ValueError, match=r"rank: must be <= 16, .*v_proj, got 17"):
        add_lora(module, targets=query_and_value(module), rank=17, alpha=8, generator=generator())


@pytest.mark.parametrize("dim", [129, 10**9])
def test_adapter_wider_than_four_blocks_is_refused(dim):
    module = classifier(hidden=32)
    with pytest.raises(ValueError, match=rf"^adapter_dim: must be <= 4 x 32 = 128 .* got {dim}$"):
        add_bottleneck_adapters(module, dim=dim, generator=generator())
    assert add_bottleneck_adapters(module, dim=128, generator=generator())
