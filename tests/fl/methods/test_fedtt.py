"""FedTT."""

import pytest
import torch

from fl.methods import install_method
from fl.methods.averaging import weighted_mean
from fl.methods.base import Contribution
from fl.methods.fedtt.config import FedttConfig
from fl.methods.fedtt_plus.config import FedttPlusConfig
from fl.payload import Payload
from fl.peft.tensor_train import TensorTrainLinear
from tests.fl.fakes import classifier, examples, roberta_base_on_meta
from tests.fl.peft.architectures import generator

MODES = {
    (32, 16): (4, 8, 4, 4),
    (16, 32): (4, 4, 8, 4),
    (32, 32): (4, 8, 8, 4),
    (768, 64): (8, 8, 12, 8, 8),
    (64, 768): (8, 8, 12, 8, 8),
    (768, 768): (8, 8, 12, 12, 8, 8),
}
WIDTH = {32: 16, 768: 64}
RANK = 5


def factor_numbers(shape, factors_of):
    """Numbers in the chosen factors (from 1) of all trains, classifier included."""
    d, m = shape.hidden, WIDTH[shape.hidden]
    trains = 2 * shape.layers * [MODES[d, m], MODES[m, d]] + [MODES[d, d]]
    total = 0
    for modes in trains:
        last = len(modes)
        for factor in factors_of(last):
            total += modes[factor - 1] * (RANK if factor in (1, last) else RANK**2)
    return total


def other_numbers(shape):
    """Biases of all trains, and the head."""
    d, m, classes = shape.hidden, WIDTH[shape.hidden], shape.num_classes
    return 2 * shape.layers * (m + d) + d + d * classes + classes


def payload_numbers(shape, version):
    every = factor_numbers(shape, lambda last: range(1, last + 1)) + other_numbers(shape)
    return every, every


def installed(config, module=None):
    module = classifier() if module is None else module
    return install_method(config, module, generator=generator(3)), module


def sent(method, tensors=None, version=0):
    return method.upload(tensors or method.initial, version=version)


def drifted(tensors, names, seed):
    source = generator(seed)
    return {
        name: value + 0.3 * torch.randn(value.shape, generator=source) if name in names else value
        for name, value in tensors.items()
    }


def matrices(module, tensors):
    """Matrix of every tensor train under these values."""
    parameters = dict(module.named_parameters())
    for name, value in tensors.items():
        parameters[name].data = value
    return {
        name: layer.weight().detach().double()
        for name, layer in module.named_modules()
        if isinstance(layer, TensorTrainLinear)
    }


def mean_of_matrices_and_matrix_of_mean(method, module, updates, weights, version=0):
    """Both sides of the question whether averaging factors averages matrices, by train."""
    received = [
        Contribution(
            client_id=client_id,
            payload=method.upload(update, version=version),
            weight=weight,
            staleness=0,
        )
        for client_id, (update, weight) in enumerate(zip(updates, weights, strict=True))
    ]
    after = method.aggregate(method.initial_state(), received)
    dense = [matrices(module, update) for update in updates]
    mean = weighted_mean(dense, weights)
    return mean, matrices(module, method.global_model(after))


def relative_distance(first, second):
    return {name: float((first[name] - second[name]).norm() / first[name].norm()) for name in first}


@pytest.mark.parametrize(("rank", "numbers"), [(2, 26_880), (5, 57_408), (10, 162_048)])
def test_numbers_of_the_adapters_on_roberta_base(rank, numbers):
    method, _ = installed(FedttConfig(rank=rank, classifier="linear"), roberta_base_on_meta())
    head = 4 * 768 + 4
    assert sent(method).tensor_bytes == 4 * (numbers + head)
    assert method.download(method.initial_state(), client_id=0).tensor_bytes == 4 * (numbers + head)


def test_numbers_with_the_classifier_on_roberta_base():
    method, _ = installed(FedttConfig(), roberta_base_on_meta())
    # The published 60,794 are for 2 classes; this head has 4.
    assert sent(method).tensor_bytes == 4 * (60_794 + 2 * 768 + 2)


def test_width_follows_the_model_unless_set():
    narrow, _ = installed(FedttConfig(classifier="linear"))
    assert narrow.initial["encoder.encoder.layer.0.output.dense.adapter.down.bias"].shape == (16,)
    wide, _ = installed(FedttConfig(classifier="linear", adapter_dim=40))
    assert wide.initial["encoder.encoder.layer.0.output.dense.adapter.down.bias"].shape == (40,)


def test_adapters_after_one_projection_are_half():
    both, _ = installed(FedttConfig(classifier="linear"))
    one, _ = installed(FedttConfig(classifier="linear", after="mlp"))
    head = 3 * 32 + 3
    numbers = [sent(method).tensor_bytes // 4 - head for method in (both, one)]
    assert numbers[0] == 2 * numbers[1]


def test_a_classifier_needs_a_head():
    module = classifier()
    del module.head
    with pytest.raises(ValueError, match=r"^classifier: must be empty .* got 'linear'$"):
        installed(FedttConfig(classifier="linear"), module)
    module = classifier()
    del module.head
    method, _ = installed(FedttConfig(), module)
    assert not any(name.startswith("head.") for name in method.initial)


def test_a_classifier_for_a_language_model_is_a_problem():
    for settings, task, found in (
        ({}, "generation", []),
        ({"classifier": "linear"}, "classification", []),
        ({"classifier": "linear"}, "generation", [("classifier",)]),
    ):
        problems = FedttConfig(**settings).find_problems(num_clients=3, task=task)
        assert [path for path, _ in problems] == found


def test_averaging_is_exact_where_one_factor_differs():
    method, module = installed(FedttConfig())
    one = {name for name in method.initial if name.endswith("cores.1")}
    updates = [drifted(method.initial, one, seed) for seed in (1, 2, 3)]
    mean, ours = mean_of_matrices_and_matrix_of_mean(method, module, updates, [3, 1, 4])
    assert max(relative_distance(mean, ours).values()) < 1e-6


def test_averaging_is_inexact_where_two_factors_drift():
    method, module = installed(FedttConfig())
    two = {name for name in method.initial if name.endswith(("cores.1", "cores.2"))}
    updates = [drifted(method.initial, two, seed) for seed in (1, 2)]
    mean, ours = mean_of_matrices_and_matrix_of_mean(method, module, updates, [1, 1])
    assert min(relative_distance(mean, ours).values()) > 1e-2
    mean, ours = mean_of_matrices_and_matrix_of_mean(method, module, updates[:1], [1])
    assert max(relative_distance(mean, ours).values()) < 1e-6, "one client alone is exact"


def test_a_start_at_the_identity_changes_nothing_and_can_be_left():
    for settings, is_neutral in (({}, False), ({"start": "identity"}, True)):
        bare, module = classifier(), classifier()
        method, _ = installed(FedttConfig(classifier="linear", **settings), module)
        batch = examples(12).batch(range(12))
        with torch.inference_mode():
            scores = [
                model.features(batch.input_ids, batch.attention_mask) for model in (bare, module)
            ]
        assert torch.equal(*scores) == is_neutral
        for parameter in module.parameters():
            parameter.requires_grad = False
        parameters = dict(module.named_parameters())
        ends = [name for name in method.initial if name.endswith("adapter.up.cores.3")]
        assert ends
        for name in ends:
            parameters[name].requires_grad = True
        module.loss(batch).backward()
        assert all(parameters[name].grad.abs().max() > 0 for name in ends)


@pytest.mark.parametrize("kind", [FedttConfig, FedttPlusConfig])
def test_frozen_biases_stay_and_are_not_sent(kind):
    free, _ = installed(kind())
    method, _ = installed(kind(freeze_biases=True))
    gone = sent(free).tensors.keys() - sent(method).tensors.keys()
    assert gone == {
        name
        for name in free.initial
        if name.endswith(".bias") and (".adapter." in name or ".dense.bias" in name)
    }
    start = method.start(method.download(method.initial_state(), client_id=0), {}, version=0)
    assert not gone & set(start.trainable)
    assert start.tensors.keys() == method.initial.keys()


def test_everything_travels():
    method, _ = installed(FedttConfig())
    assert isinstance(sent(method), Payload)
    assert sent(method).tensors.keys() == method.initial.keys()
    assert method.personal(method.initial) == {}
