"""FedALT."""

import torch

from fl.methods.fedalt.config import FedaltConfig
from tests.fl.methods.updates import contribution, installed, numbers_on_roberta_base


def payload_numbers(shape, version):
    numbers = 2 * shape.layers * 8 * 2 * shape.hidden
    return numbers, numbers


def test_numbers_on_roberta_base_are_those_of_lora():
    assert numbers_on_roberta_base(FedaltConfig(rank=8)) == 294_912


def sent_by(items, client_id):
    return next(item.payload.tensors for item in items if item.client_id == client_id)


def world_of(name):
    return name.replace("lora_", "world_")


def test_a_client_gets_the_mean_of_what_all_others_sent_last():
    method, _ = installed(FedaltConfig(rank=2))
    state = method.initial_state()
    first = [
        contribution(method, state, client_id=each, num_samples=5 - each, seed=each)
        for each in (0, 1, 2)
    ]
    state = method.aggregate(state, first)
    # client 1 again, and a new one; 0 and 2 stay as they are
    second = [
        contribution(method, state, client_id=each, num_samples=1, seed=10 + each, version=1)
        for each in (1, 3)
    ]
    state = method.aggregate(state, second)
    latest = {0: sent_by(first, 0), 1: sent_by(second, 1), 2: sent_by(first, 2)}
    latest[3] = sent_by(second, 3)
    for client_id in (0, 1, 3, 7):
        others = [sent for each, sent in latest.items() if each != client_id]
        got = method.download(state, client_id=client_id).tensors
        assert len(others) == (4 if client_id == 7 else 3)
        assert len(got) == 8
        for name in method.factors:
            mean = sum(sent[name].double() for sent in others) / len(others)
            torch.testing.assert_close(got[world_of(name)], mean.float(), rtol=1e-6, atol=1e-6)


def test_alone_it_is_sent_the_first_values_again():
    method, _ = installed(FedaltConfig(rank=2))
    state = method.initial_state()
    alone = contribution(method, state, client_id=4, num_samples=1, seed=4)
    after = method.aggregate(state, [alone])
    got = method.download(after, client_id=4).tensors
    assert all(torch.equal(value, method.initial[name]) for name, value in got.items())
    other = method.download(after, client_id=5).tensors
    for name in method.factors:
        assert torch.equal(other[world_of(name)], alone.payload.tensors[name])


def test_the_lora_of_the_others_rests_and_the_own_goes_on():
    method, _ = installed(FedaltConfig())
    state = method.initial_state()
    personal = method.initial_personal(6)
    start = method.start(method.download(state, client_id=6), personal, version=0)
    assert not any("world_" in name for name in start.trainable)
    assert {"head.weight", "head.bias"} <= set(start.trainable)
    assert sum(name.endswith(".mixer") for name in start.trainable) == 4
    trained = {name: value + 1.0 for name, value in start.tensors.items()}
    kept = method.personal({**trained, **start.client_outputs})
    again = method.start(method.download(state, client_id=6), kept, version=3)
    for name in start.trainable:
        assert torch.equal(again.tensors[name], trained[name])
    assert method.personal_model(state, kept).keys() == method.initial.keys()
