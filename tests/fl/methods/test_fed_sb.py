"""Fed-SB."""

import torch

from fl.methods.fed_sb.config import FedSbConfig
from tests.fl.methods.updates import contribution, installed, numbers_on_roberta_base


def payload_numbers(shape, version):
    d, classes, rank = shape.hidden, shape.num_classes, 16
    numbers = 2 * shape.layers * rank * rank + d * classes + classes
    return numbers, numbers


def updates(tensors, constants):
    """``B R A`` of every adapted layer, in float64."""
    return {
        name: constants[name.replace("lora_R", "lora_B")].double()
        @ tensors[name].double()
        @ constants[name.replace("lora_R", "lora_A")].double()
        for name in tensors
        if name.endswith(".lora_R")
    }


def test_numbers_on_roberta_base_are_a_square_a_layer():
    lora = 24 * 16 * 2 * 768
    assert numbers_on_roberta_base(FedSbConfig(rank=16)) == 24 * 16 * 16 == 6_144
    assert 6_144 / lora < 0.0105


def test_the_mean_of_updates_is_the_update_of_the_mean():
    method, _ = installed(FedSbConfig(rank=4))
    state = method.initial_state()
    made = [
        contribution(method, state, client_id=client_id, num_samples=count, seed=client_id)
        for client_id, count in enumerate((1, 3, 2))
    ]
    after = updates(method.aggregate(state, made).tensors, method.initial)
    assert len(after) == 4
    each = [updates(item.payload.tensors, method.initial) for item in made]
    for name, found in after.items():
        mean = sum(item.weight / 6 * one[name] for item, one in zip(made, each, strict=True))
        torch.testing.assert_close(found, mean, rtol=1e-6, atol=1e-6)


def test_the_factors_neither_travel_nor_train_and_come_from_the_backbone():
    method, _ = installed(FedSbConfig())
    state = method.initial_state()
    download = method.download(state, client_id=0)
    start = method.start(download, method.initial_personal(0), version=0)
    upload = method.upload(start.tensors, version=0)
    fixed = [name for name in method.initial if name.endswith((".lora_A", ".lora_B"))]
    assert len(fixed) == 8
    assert not {*download.tensors, *upload.tensors, *start.trainable} & set(fixed)
    other, _ = installed(FedSbConfig(), seed=4)
    assert all(torch.equal(start.tensors[name], other.initial[name]) for name in fixed)
