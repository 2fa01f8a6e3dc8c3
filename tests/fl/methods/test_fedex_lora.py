"""FedEx-LoRA: the global model is the mean of the clients' models."""

import pytest
import torch

from fl.methods.base import Contribution
from fl.methods.fedex_lora.config import FedexLoraConfig
from fl.methods.fedex_lora.method import residual_factors
from tests.fl.fakes import federation, roberta_base_on_meta
from tests.fl.methods.products import installed, mean_products, play, products, random_part


def payload_numbers(shape, version):
    d, adapted, rank = shape.hidden, 2 * shape.layers, 8
    factors = adapted * rank * 2 * d
    head = d * shape.num_classes + shape.num_classes
    stack = (shape.num_clients - 1) * rank * 2 * d
    merged = adapted * min(stack, d * d) if version > 0 else 0
    return factors + head, factors + head + merged


def merged_of(tensors):
    return {
        name.removesuffix(".merged"): tensor
        for name, tensor in tensors.items()
        if name.endswith(".merged")
    }


def test_two_clients_of_rank_one_by_hand():
    # products 6 and 5, mean 5.5; means of the factors 2.5 and 2: their product is 5, it lacks 0.5
    updates = [
        {"a.lora_A": torch.tensor([[3.0]]), "a.lora_B": torch.tensor([[2.0]])},
        {"a.lora_A": torch.tensor([[1.0]]), "a.lora_B": torch.tensor([[5.0]])},
    ]
    rows, columns = residual_factors(updates, [1, 1], layer="a")
    assert rows.shape == columns.shape == (1, 1)
    assert float(columns @ rows) == 5.5 - 3.5 * 2.0
    rows, columns = residual_factors(updates, [1, 3], layer="a")
    mean = (6 + 3 * 5) / 4 - (2 + 15) / 4 * (3 + 3) / 4
    assert float(columns @ rows) == pytest.approx(mean, rel=1e-12)
    assert residual_factors(updates[:1], [1], layer="a") is None


@pytest.mark.parametrize("num_samples", [(1, 3, 2), (5,)])
def test_product_and_residual_are_the_dense_mean(num_samples):
    method = installed(FedexLoraConfig(rank=4, alpha=8.0))
    state = method.initial_state()
    made = [
        random_part(method, state, client_id, num_samples=count)[0]
        for client_id, count in enumerate(num_samples)
    ]
    after = method.aggregate(state, made)
    found, merged = products(after.tensors), merged_of(after.tensors)
    mean = mean_products(made)
    assert len(mean) == len(merged) == 4
    for layer, dense in mean.items():
        whole = 2.0 * found[layer] + merged[layer]
        torch.testing.assert_close(whole, 2.0 * dense, rtol=1e-5, atol=1e-5)
        assert bool(merged[layer].any()) == (len(num_samples) > 1)


@pytest.mark.parametrize("rank", [5, 17])
def test_every_client_holds_the_server_s_bits(rank):
    played = federation(
        FedexLoraConfig(rank=rank), num_clients=6, cohort=2, num_rounds=12, num_texts=240
    )
    kinds = set()
    for job, state in play(played):
        at_client, at_server = merged_of(job.start.tensors), merged_of(state.tensors)
        assert all(torch.equal(at_client[layer], at_server[layer]) for layer in at_server)
        payload = played.method.download(state, client_id=job.client_id)
        kinds |= {"dense" if merged_of(payload.tensors) else "stacks"} if state.version else set()
    assert any(tensor.any() for tensor in at_server.values())
    assert kinds == ({"dense"} if rank == 17 else {"dense", "stacks"})


def test_numbers_on_roberta_base_are_those_of_lora_and_of_all_clients_but_one_more_down():
    method = installed(FedexLoraConfig(rank=8), module=roberta_base_on_meta())
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
