"""FLoRA: the merged stack is the dense mean, at the server and at every client."""

import pytest
import torch

from fl.methods.base import Contribution
from fl.methods.fedit.config import FeditConfig
from fl.methods.flora.config import FloraConfig
from fl.methods.flora.method import FloraMethod
from fl.payload import Payload
from fl.training.config import TrainingConfig
from tests.fl.fakes import backbone, federation, roberta_base_on_meta
from tests.fl.methods.products import installed, mean_products, play, products, random_part

RANK = 8


def payload_numbers(shape, version):
    d, adapted = shape.hidden, 2 * shape.layers
    head = d * shape.num_classes + shape.num_classes
    stack = shape.num_clients * RANK * 2 * d
    merged = adapted * min(stack, d * d) if version > 0 else 0
    return adapted * RANK * 2 * d + head, merged + head


def merged_of(tensors):
    return {
        name.removesuffix(".merged"): tensor
        for name, tensor in tensors.items()
        if name.endswith(".merged")
    }


def aggregated(config, *, num_samples=(1, 3, 2)):
    method = installed(config)
    state = method.initial_state()
    made = [
        random_part(method, state, client_id, num_samples=count)[0]
        for client_id, count in enumerate(num_samples)
    ]
    return method, made, method.aggregate(state, made)


@pytest.mark.parametrize("rank", [4, (4, 1, 3)])
def test_merge_is_the_dense_mean_for_any_ranks(rank):
    _, made, after = aggregated(FloraConfig(rank=rank, alpha=8.0))
    mean, merged = mean_products(made), merged_of(after.tensors)
    assert len(mean) == len(merged) == 4
    for layer, dense in mean.items():
        torch.testing.assert_close(merged[layer].double(), 8.0 / 4 * dense, rtol=1e-6, atol=1e-6)


def test_averaging_the_factors_is_not():
    _, made, after = aggregated(FeditConfig(rank=4))
    mean, averaged = mean_products(made), products(after.tensors)
    assert all((averaged[layer] - mean[layer]).abs().max() > 0.1 for layer in mean)


def test_the_merged_model_of_one_client_answers_as_its_trained_one():
    config = FloraConfig(rank=4)
    module = backbone().module
    method = installed(config, module=module)
    state = method.initial_state()
    start = method.start(method.download(state, client_id=0), method.initial_personal(0), version=0)
    generator = torch.Generator().manual_seed(0)
    trained = {
        name: value + 0.1 * torch.randn(value.shape, generator=generator)
        if name in start.trainable
        else value
        for name, value in start.tensors.items()
    }
    part, _ = random_part(method, state, 0)
    part = type(part)(client_id=0, payload=method.upload(trained, version=0), weight=5, staleness=0)
    model = method.global_model(method.aggregate(state, [part]))
    answers = []
    ids = torch.arange(36).reshape(3, 12)
    for tensors in (trained, model):
        parameters = dict(module.named_parameters())
        for name, value in tensors.items():
            parameters[name].data = value
        with torch.inference_mode():
            answers.append(module(ids, torch.ones_like(ids)))
    torch.testing.assert_close(answers[1], answers[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", [FloraConfig(rank=(3, 1, 2)), FloraConfig(rank=17)])
def test_every_client_holds_the_server_s_bits(config):
    played = federation(config, num_clients=6, cohort=2, num_rounds=12, num_texts=240)
    jobs = play(played)
    kinds = set()
    for job, state in jobs:
        at_client, at_server = merged_of(job.start.tensors), merged_of(state.tensors)
        assert all(torch.equal(at_client[layer], at_server[layer]) for layer in at_server)
        payload = played.method.download(state, client_id=job.client_id)
        kinds |= {"dense" if merged_of(payload.tensors) else "stacks"} if state.version else set()
    assert any(tensor.any() for tensor in at_server.values())
    assert kinds == ({"dense"} if config.rank == 17 else {"dense", "stacks"})
    ranks = {played.personal.of(client_id)["rank"].item() for client_id in played.client_ids}
    assert ranks == ({17} if config.rank == 17 else {1, 2, 3})


def test_a_client_gets_the_stacks_that_it_lacks_or_the_dense_update_if_that_is_smaller():
    method = installed(FloraConfig(rank=2))
    state, personal = method.initial_state(), {}
    layers, width = 4, 32
    for version in range(10):
        client_id = 0 if version < 9 else 1
        upload, held = random_part(
            method, state, client_id, personal=personal.get(client_id), version=version
        )
        state, personal[client_id] = method.aggregate(state, [upload]), held

    def numbers(client_id):
        payload = method.download(state, client_id=client_id)
        return sum(
            tensor.numel()
            for name, tensor in payload.tensors.items()
            if not name.startswith("head.")
        )

    stack, dense = layers * 2 * 2 * width, layers * width * width
    # Its last update began from version 8, 9 or 0; 10 aggregations were made.
    assert state.held == {0: 8, 1: 9}
    assert numbers(0) == 2 * stack
    assert numbers(1) == stack
    assert numbers(2) == dense < 10 * stack
    kept = sum(tensor.numel() for name, tensor in state.tensors.items() if ".stack_" in name)
    assert kept == dense


def test_numbers_on_roberta_base_are_those_of_lora_up_and_of_all_clients_down():
    method = installed(FloraConfig(rank=8), module=roberta_base_on_meta())
    state = method.initial_state()
    download = method.download(state, client_id=0)
    start = method.start(download, method.initial_personal(0), version=0)
    payload = method.upload(start.tensors, version=0)
    parts = [
        Contribution(client_id=client_id, payload=payload, weight=1, staleness=0)
        for client_id in range(10)
    ]
    down = method.download(method.aggregate(state, parts), client_id=0)
    head = 4 * 768 + 4
    assert sum(tensor.numel() for tensor in payload.tensors.values()) == 294_912 + head
    assert sum(tensor.numel() for tensor in down.tensors.values()) == 10 * 294_912 + head


def test_each_client_of_each_version_starts_from_a_fresh_lora_of_its_own():
    method = installed(FloraConfig(rank=(4, 2)))
    again = installed(FloraConfig(rank=(4, 2)))
    first = method.fresh(0, rank=4, client_id=0)
    later, other = (
        method.fresh(version, rank=4, client_id=client_id)
        for version, client_id in ((1, 0), (0, 1))
    )
    small = again.fresh(0, rank=2, client_id=1)
    for name in first:
        if name.endswith(".lora_A"):
            assert not torch.equal(first[name], later[name])
            assert not torch.equal(first[name], other[name])
            assert torch.equal(small[name], other[name][:2])
            assert torch.equal(first[name], method.initial[name])
        else:
            assert not other[name].any()
    state = method.initial_state()
    download = method.download(state, client_id=1)
    start = method.start(download, method.initial_personal(1), version=0)
    assert all(torch.equal(start.tensors[name], small[name]) for name in small)


def test_stack_of_several_clients_has_the_sum_of_their_ranks():
    played = federation(FloraConfig(rank=2), num_clients=4, cohort=4, num_rounds=1)
    play(played)
    for layer in merged_of(played.state.tensors):
        rows = played.state.tensors[f"{layer}.stack_A.1"].double()
        energy = torch.linalg.svdvals(rows / rows.norm(dim=1, keepdim=True)).square()
        # With one ``A`` for all that little training hardly moves, the first two held nearly all.
        assert rows.shape == (8, 32)
        assert energy[2:].sum() > 0.3 * energy.sum()


def test_the_merge_of_two_clients_worked_out_by_hand():
    # 1/4 [1, 0]^T [1, 0] + 3/4 [1, 1]^T [0, 2] = [[1/4, 3/2], [0, 3/2]], twice that with scale 2.
    updates = [
        {"a.lora_A": torch.tensor([[1.0, 0.0]]), "a.lora_B": torch.tensor([[1.0], [0.0]])},
        {"a.lora_A": torch.tensor([[0.0, 2.0]]), "a.lora_B": torch.tensor([[1.0], [1.0]])},
    ]
    method = FloraMethod(
        kind="flora",
        initial={**updates[0], "a.merged": torch.tensor([[1.0, 0.0], [0.0, 1.0]])},
        head=(),
        rank=1,
        scale=2.0,
        seed=0,
    )
    parts = [
        Contribution(client_id=client_id, payload=Payload(update), weight=weight, staleness=0)
        for client_id, (update, weight) in enumerate(zip(updates, (1, 3), strict=True))
    ]
    after = method.aggregate(method.initial_state(), parts).tensors
    assert torch.equal(after["a.merged"], torch.tensor([[1.5, 3.0], [0.0, 4.0]]))


def test_the_lora_of_another_layer_is_another():
    drawn = [
        value
        for name, value in installed(FloraConfig()).fresh(1, rank=8, client_id=0).items()
        if "_A" in name
    ]
    assert len({float(value[0, 0]) for value in drawn}) == len(drawn) == 4


def test_no_learning_rate_gives_no_update():
    still = TrainingConfig(local_steps=2, learning_rate=0.0)
    played = federation(FloraConfig(rank=(2, 1)), training=still)
    play(played)
    assert played.state.version == 3
    for name, tensor in played.method.initial_state().tensors.items():
        assert torch.equal(played.state.tensors[name], tensor)


def test_broadcast_is_refused():
    with pytest.raises(ValueError, match=r"server\.downlink: must be unicast, flora"):
        federation(FloraConfig(), downlink="broadcast")


def test_language_models_have_no_head_and_get_nothing_before_the_first_merge():
    played = federation(FloraConfig(rank=(3, 2)), task="generation", num_rounds=4)
    assert played.method.download(played.state, client_id=0) is None
    jobs = play(played)
    assert played.recorder.rounds[0].downlink_bytes == 0 < played.recorder.rounds[1].downlink_bytes
    for job, state in jobs:
        for name, tensor in merged_of(state.tensors).items():
            assert torch.equal(job.start.tensors[f"{name}.merged"], tensor)
