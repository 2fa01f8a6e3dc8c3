"""One step counted by running it: what is trained decides, and the module stays as it was."""

import torch

from fl.methods import install_method
from fl.methods.fedit.config import FeditConfig
from fl.training.step_count import count_step
from tests.fl.fakes import classifier


def installed(config, module):
    """Put a method into a module; return the names of what it trains."""
    method = install_method(config, module, generator=torch.Generator().manual_seed(0))
    return tuple(sorted(method.initial))


def test_training_weights_costs_more_than_freezing_them():
    module = classifier()
    trainable = installed(FeditConfig(rank=8), module)
    dense = "encoder.encoder.layer.0.intermediate.dense.weight"
    few = count_step(module, trainable, batch_size=4, num_tokens=8, num_asked=None)
    more = count_step(module, (*trainable, dense), batch_size=4, num_tokens=8, num_asked=None)
    assert more.flop == few.flop + 2 * 4 * 8 * 32 * 64
    assert more.memory_bytes() > few.memory_bytes() + 3 * 4 * 32 * 64


def test_training_the_head_alone_stays_above_the_encoder():
    module = classifier()
    installed(FeditConfig(rank=8), module)
    names = ("head.bias", "head.weight")
    head = count_step(module, names, batch_size=4, num_tokens=8, num_asked=None)
    lora = count_step(
        module,
        ("encoder.encoder.layer.1.attention.self.value.lora_B",),
        batch_size=4,
        num_tokens=8,
        num_asked=None,
    )
    assert head.flop < lora.flop
    assert head.memory_bytes() < lora.memory_bytes()


def test_memory_is_affine_in_the_batch():
    module = classifier()
    trainable = installed(FeditConfig(rank=8), module)
    need = [
        count_step(module, trainable, batch_size=size, num_tokens=8, num_asked=None).memory_bytes()
        for size in (2, 4, 6)
    ]
    assert need[2] - need[1] == need[1] - need[0] > 0


def test_what_is_held_beside_a_step_adds_and_a_cache_takes_the_room_of_activations():
    module = classifier()
    trainable = installed(FeditConfig(rank=8), module)
    step = count_step(module, trainable, batch_size=2, num_tokens=8, num_asked=None)
    assert step.beside() == step
    assert step.beside(cache_bytes=step.activation_bytes) == step
    more = step.beside(frozen_bytes=4000, cache_bytes=step.activation_bytes + 800)
    assert more.memory_bytes() == step.memory_bytes() + 4800
    assert more.memory_bytes("int8") == step.memory_bytes("int8") + 1000 + 400
    assert more.flop == step.flop


def test_counting_leaves_the_module_as_it_was():
    module = classifier()
    trainable = installed(FeditConfig(rank=8), module)
    before = {
        name: (value.detach().clone(), value.requires_grad)
        for name, value in module.named_parameters()
    }
    count_step(module, trainable, batch_size=2, num_tokens=3, num_asked=None)
    for name, value in module.named_parameters():
        assert torch.equal(value, before[name][0])
        assert value.requires_grad == before[name][1]
        assert value.grad is None
    assert not module.encoder._forward_pre_hooks
