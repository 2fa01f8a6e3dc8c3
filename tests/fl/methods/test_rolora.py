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


def payload_numbers(shape, round_id):
    d, classes, rank = shape.hidden, shape.num_classes, 8
    half, head = 2 * shape.layers * d * rank, d * classes + classes
    return half + head, (2 * half if round_id == 1 else half) + head


def factors(names):
    return {name[-1] for name in names if "lora_" in name}


@pytest.mark.parametrize("round_id", [1, 2])
def test_numbers_on_roberta_base_are_half_of_lora(round_id):
    assert numbers_on_roberta_base(RoLoraConfig(rank=8), round_id=round_id) == 147_456


def test_averaging_is_exact_in_every_round():
    method, _ = installed(RoLoraConfig(rank=4))
    state = method.initial_state()
    for round_id in (1, 2, 3):
        mean, product, state = products_before_and_after(method, state, round_id=round_id)
        assert mean
        for name in mean:
            torch.testing.assert_close(product[name], mean[name], rtol=1e-5, atol=1e-5)


def test_factors_take_turns_and_the_head_is_always_due():
    method, _ = installed(RoLoraConfig())
    state = method.initial_state()
    for round_id, factor in enumerate("BABA", start=1):
        download = method.download(state, client_id=9, round_id=round_id)
        start = method.start(download, {}, round_id=round_id)
        upload = method.upload(start.tensors, round_id=round_id)
        assert factors(start.trainable) == factors(upload.tensors) == {factor}
        assert {"head.weight", "head.bias"} <= set(upload.tensors)


def test_download_is_what_the_client_lacks():
    method, _ = installed(RoLoraConfig())
    state = method.initial_state()
    for round_id, client_ids in enumerate([(0, 1), (0,), (0,)], start=1):
        made = [
            contribution(method, state, client_id=each, num_samples=1, seed=each, round_id=round_id)
            for each in client_ids
        ]
        state = method.aggregate(state, made)
    lacks = {
        client_id: factors(method.download(state, client_id=client_id, round_id=4).tensors)
        for client_id in (0, 1, 2)
    }
    assert lacks == {0: {"B"}, 1: {"A", "B"}, 2: {"A", "B"}}


def test_clients_that_sit_rounds_out_begin_where_the_server_is():
    parts = federation(RoLoraConfig(), num_clients=4, cohort=2, num_rounds=5)
    begun, executor = [], parts.executor

    class Watching:
        def submit(self, job):
            begun.append((parts.state.tensors, job.start.tensors))
            return executor.submit(job)

    parts.executor = Watching()
    parts.env.run(until=parts.env.process(run_rounds(parts)))
    assert len(begun) == 5 * 2
    for server, client in begun:
        assert all(torch.equal(client[name], tensor) for name, tensor in server.items())


def test_broadcast_is_refused():
    with pytest.raises(ValueError, match=r"server\.downlink: must be unicast, rolora"):
        federation(RoLoraConfig(), downlink="broadcast")
