"""FlexLoRA: the server's LoRA is the best approximation of the mean product."""

import numpy as np
import pytest
import torch

from fl.methods.flexlora.config import FlexloraConfig
from fl.training.config import TrainingConfig
from tests.fl.fakes import federation, roberta_base_on_meta
from tests.fl.methods.products import installed, mean_products, play, products, random_part


def payload_numbers(shape, version):
    d, rank = shape.hidden, 8
    numbers = 2 * shape.layers * rank * 2 * d + d * shape.num_classes + shape.num_classes
    return numbers, numbers


def aggregated(config, *, num_samples=(1, 3, 2)):
    method = installed(config)
    state = method.initial_state()
    made = [
        random_part(method, state, client_id, num_samples=count)[0]
        for client_id, count in enumerate(num_samples)
    ]
    return method, made, method.aggregate(state, made)


@pytest.mark.parametrize("rank", [32, (32, 2, 3)])
def test_with_ranks_enough_the_product_is_the_dense_mean(rank):
    _, made, after = aggregated(FlexloraConfig(rank=rank))
    merged = products(after.tensors)
    for layer, dense in mean_products(made).items():
        torch.testing.assert_close(merged[layer], dense, rtol=1e-5, atol=1e-6 * dense.norm().item())


@pytest.mark.parametrize("rank", [4, (12, 5, 1)])
def test_truncated_product_is_the_best_of_its_rank(rank):
    method, made, after = aggregated(FlexloraConfig(rank=rank))
    mean = mean_products(made)
    for client_id, kept in enumerate([4] * 3 if rank == 4 else rank):
        download = method.download(after, client_id=client_id).tensors
        for layer, product in products(download).items():
            left, values, right = np.linalg.svd(mean[layer].numpy())
            best = (left[:, :kept] * values[:kept]) @ right[:kept]
            np.testing.assert_allclose(product.numpy(), best, rtol=0, atol=2e-6 * values[0])
            assert download[f"{layer}.lora_A"].shape == (kept, 32)


def test_ranks_that_few_small_clients_leave_empty_can_still_be_trained():
    method = installed(FlexloraConfig(rank=(8, 2)))
    state = method.initial_state()
    after = method.aggregate(state, [random_part(method, state, 1)[0]])
    for name, tensor in after.tensors.items():
        if name.endswith(".lora_A"):
            assert torch.equal(tensor[2:], method.initial[name][2:])
        if name.endswith(".lora_B"):
            assert tensor[:, :2].any()
            assert not tensor[:, 2:].any()


def test_ranks_of_the_clients_run_with_sampling():
    played = federation(
        FlexloraConfig(rank=(6, 3, 1)), num_clients=5, cohort=3, num_rounds=4, num_texts=240
    )
    jobs = play(played)
    for job, _ in jobs:
        ranks = {t.shape[0] for name, t in job.start.tensors.items() if name.endswith("lora_A")}
        assert ranks == {(6, 3, 1)[job.client_id % 3]}
    assert played.state.version == 4
    smaller = played.method.personal_model(played.state, played.personal.of(2))
    assert {t.shape[0] for name, t in smaller.items() if name.endswith("lora_A")} == {1}


def test_no_learning_rate_gives_no_update():
    still = TrainingConfig(local_steps=2, learning_rate=0.0)
    played = federation(FlexloraConfig(rank=(4, 2)), training=still)
    play(played)
    assert played.state.version == 3
    for name, tensor in played.method.initial.items():
        assert torch.equal(played.state.tensors[name], tensor)


def test_broadcast_serves_clients_of_one_rank_alone():
    assert federation(FlexloraConfig(), downlink="broadcast").method.same_download
    with pytest.raises(ValueError, match=r"server\.downlink: must be unicast, flexlora"):
        federation(FlexloraConfig(rank=(4, 2)), downlink="broadcast")


def test_numbers_on_roberta_base_are_those_of_lora():
    method = installed(FlexloraConfig(rank=8), module=roberta_base_on_meta())
    down = method.download(method.initial_state(), client_id=0)
    start = method.start(down, method.initial_personal(0), version=0)
    up = method.upload({**start.tensors, **start.client_outputs}, version=0)
    for payload in (down, up):
        numbers = {name: tensor.numel() for name, tensor in payload.tensors.items()}
        assert sum(count for name, count in numbers.items() if "lora_" in name) == 294_912
