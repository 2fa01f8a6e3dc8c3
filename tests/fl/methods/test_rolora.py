"""RoLoRA."""

import pytest
import torch

from fl.methods.rolora.config import RoLoraConfig
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import federation
from tests.fl.methods.updates import (
    contribution,
    installed,
    numbers_on_roberta_base,
    products_before_and_after,
)
from tests.fl.watching import watch_training


def payload_numbers(shape, version):
    d, classes, rank = shape.hidden, shape.num_classes, 8
    half, head = 2 * shape.layers * d * rank, d * classes + classes
    return half + head, (2 * half if version == 0 else half) + head


def factors(names):
    return {name[-1] for name in names if "lora_" in name}


@pytest.mark.parametrize("version", [0, 1])
def test_numbers_on_roberta_base_are_half_of_lora(version):
    assert numbers_on_roberta_base(RoLoraConfig(rank=8), version=version) == 147_456


def test_averaging_is_exact_in_every_round():
    method, _ = installed(RoLoraConfig(rank=4))
    state = method.initial_state()
    for version in (0, 1, 2):
        mean, product, state = products_before_and_after(method, state, version=version)
        assert mean
        for name in mean:
            torch.testing.assert_close(product[name], mean[name], rtol=1e-5, atol=1e-5)


def test_factors_take_turns_and_the_head_is_always_due():
    method, _ = installed(RoLoraConfig())
    state = method.initial_state()
    for version, factor in enumerate("BABA"):
        download = method.download(state, client_id=9)
        start = method.start(download, {}, version=version)
        upload = method.upload(start.tensors, version=version)
        assert factors(start.trainable) == factors(upload.tensors) == {factor}
        assert {"head.weight", "head.bias"} <= set(upload.tensors)


def test_download_is_what_the_client_lacks():
    method, _ = installed(RoLoraConfig())
    state = method.initial_state()
    for version, client_ids in enumerate([(0, 1), (0,), (0,)]):
        made = [
            contribution(method, state, client_id=each, num_samples=1, seed=each, version=version)
            for each in client_ids
        ]
        state = method.aggregate(state, made)
    lacks = {
        client_id: factors(method.download(state, client_id=client_id).tensors)
        for client_id in (0, 1, 2)
    }
    assert lacks == {0: {"B"}, 1: {"A", "B"}, 2: {"A", "B"}}


def test_clients_that_sit_rounds_out_begin_where_the_server_is():
    parts = federation(RoLoraConfig(), num_clients=4, cohort=2, num_rounds=5)
    begun = []
    watch_training(parts, lambda job, _: begun.append((parts.state.tensors, job.start.tensors)))
    parts.env.run(until=parts.env.process(run_rounds(parts)))
    assert len(begun) == 5 * 2
    for server, client in begun:
        assert all(torch.equal(client[name], tensor) for name, tensor in server.items())


def test_broadcast_is_refused():
    with pytest.raises(ValueError, match=r"server\.downlink: must be unicast, rolora"):
        federation(RoLoraConfig(), downlink="broadcast")
