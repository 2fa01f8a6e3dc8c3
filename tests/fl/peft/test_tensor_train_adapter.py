"""Tensor-train adapters and heads: how many numbers, where, and that they are not neutral."""

import numpy as np
import pytest
import torch
import transformers

from fl.peft.install import freeze, head_names
from fl.peft.places import adapter_places
from fl.peft.tensor_train_adapter import (
    TensorTrainAdapter,
    add_tensor_train_adapters,
    add_tensor_train_head,
)
from fl.training.cost import CostModel
from tests.fl.fakes import TextClassifier, classifier
from tests.fl.peft.architectures import ARCHITECTURES, generator, gradients, logits, sizes, tiny


def on_meta(build, config, *, num_classes=2):
    with torch.device("meta"):
        encoder = build(config)
    module = TextClassifier(
        encoder, num_classes=num_classes, hidden_size=config.hidden_size, pooling="mean"
    )
    return module.to("meta").eval()


def roberta_base():
    config = transformers.RobertaConfig(attn_implementation="eager")
    return on_meta(
        lambda config: transformers.RobertaModel(config, add_pooling_layer=False), config
    )


@pytest.mark.parametrize(("rank", "numbers"), [(2, 26_880), (5, 57_408), (10, 162_048)])
def test_numbers_of_roberta_base(rank, numbers):
    module = roberta_base()
    names = add_tensor_train_adapters(module, dim=64, rank=rank, generator=generator())
    assert sizes(module, names) == numbers


def test_numbers_with_a_tensor_train_head():
    module = roberta_base()
    names = add_tensor_train_adapters(module, dim=64, rank=5, generator=generator())
    dense = add_tensor_train_head(module, rank=5, generator=generator())
    assert sizes(module, dense) == 1_080 + 768
    assert sizes(module, head_names(module)) == 1_080 + 768 + 768 * 2 + 2
    assert sizes(module, [*names, *head_names(module)]) == 60_794


def test_numbers_of_llama_2_7b():
    module = on_meta(transformers.LlamaModel, transformers.LlamaConfig(vocab_size=32))
    assert module.encoder.config.hidden_size == 4096
    names = add_tensor_train_adapters(module, dim=64, rank=5, generator=generator())
    assert sizes(module, names) == 407_040


@pytest.mark.parametrize("after", ["both", "attention", "mlp"])
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_architecture_takes_them(name, after):
    module = tiny(name)
    freeze(module)
    before = logits(module)
    names = add_tensor_train_adapters(module, dim=16, rank=3, generator=generator(), after=after)
    places = adapter_places(module, after=after)
    assert {key.partition(".adapter.")[0] for key in names} == {
        place.removesuffix(".base_layer") for place in places
    }
    # 32 x 16 as (4, 8, 4, 4) and 16 x 32 as (4, 4, 8, 4).
    down, up = 3 * (4 + 4) + 9 * (8 + 4), 3 * (4 + 4) + 9 * (4 + 8)
    assert sizes(module, names) == (4 if after == "both" else 2) * (down + up + 16 + 32)
    assert not torch.allclose(logits(module), before)
    found = gradients(module, names)
    assert all(gradient.abs().max() > 0 for gradient in found.values())


def test_adapter_is_the_residual_bottleneck_of_its_two_matrices():
    adapter = TensorTrainAdapter(features=32, dim=16, rank=3)
    adapter.reset(generator())
    hidden = torch.randn((2, 7, 32), generator=generator(2))
    low = torch.relu(hidden @ adapter.down.weight() + adapter.down.bias)
    expected = hidden + low @ adapter.up.weight() + adapter.up.bias
    torch.testing.assert_close(adapter(hidden), expected, rtol=1e-5, atol=1e-6)


def test_head_keeps_the_linear_layer():
    module = classifier()
    linear, before = module.head, logits(module)
    names = add_tensor_train_head(module, rank=3, generator=generator())
    assert module.head.out_proj is linear
    assert all(name.startswith("head.dense.") for name in names)
    assert not torch.allclose(logits(module), before)
    features = torch.randn((4, 32), generator=generator(2))
    dense = module.head.dense
    expected = linear(torch.tanh(features @ dense.weight() + dense.bias))
    torch.testing.assert_close(module.head(features), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"^classifier: needs a linear layer named head"):
        add_tensor_train_head(module, rank=3, generator=generator())


def test_starts_come_from_the_generator_alone():
    def start(seed):
        module = classifier()
        names = add_tensor_train_adapters(module, dim=16, rank=3, generator=generator(seed))
        parameters = dict(module.named_parameters())
        return {name: parameters[name].detach() for name in names}

    state = torch.random.get_rng_state()
    first = start(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    again, other = start(1), start(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_bottleneck_wider_than_four_blocks_is_refused():
    with pytest.raises(ValueError, match=r"^adapter_dim: must be <= 4 x 32 = 128 .* got 129$"):
        add_tensor_train_adapters(classifier(), dim=129, rank=2, generator=generator())


def test_steps_are_counted_by_polynomial():
    """Products of cores do not grow with the batch: the polynomial has a fixed part."""
    module = classifier()
    names = add_tensor_train_adapters(module, dim=16, rank=3, generator=generator())
    names += add_tensor_train_head(module, rank=3, generator=generator())
    cost = CostModel(module, max_tokens=12)
    for batch_size, num_tokens in ((1, 1), (3, 5), (8, 12), (2, 9)):
        counted = cost.count(names, batch_size=batch_size, num_tokens=num_tokens).flop
        assert cost.step_flop(names, batch_size=batch_size, num_tokens=num_tokens) == counted
    lengths = np.arange(1, 13)
    before = len(cost._steps)
    cost.job_flop(names, batches=[np.array([each]) for each in range(12)], lengths=lengths)
    assert len(cost._steps) == before, "a shape was run that the polynomial knows"
