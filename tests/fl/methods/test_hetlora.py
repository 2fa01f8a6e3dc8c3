"""HetLoRA: padding, weights by norm, ranks that prune themselves."""

import dataclasses

import pytest
import torch

from fl.execution.run_job import run_job
from fl.methods.hetlora.config import HetloraConfig
from fl.methods.hetlora.method import tail_norm
from fl.methods.low_rank import product_norm
from fl.training.config import TrainingConfig
from tests.fl.fakes import federation, roberta_base_on_meta
from tests.fl.methods.products import installed, play, random_part


def payload_numbers(shape, version, *, rank=8):
    """Rank 8 until the client has pruned itself, in round 3 at the earliest."""
    d = shape.hidden
    numbers = 2 * shape.layers * rank * 2 * d + d * shape.num_classes + shape.num_classes
    return numbers + 1, numbers


def is_factor(name):
    return "lora_" in name


def ranks_in(tensors):
    return {t.shape[0] for name, t in tensors.items() if name.endswith(".lora_A")}


def scaled(item, factor):
    """The same update with its products ``factor`` times as large."""
    tensors = {
        name: tensor * factor if name.endswith(".lora_B") else tensor
        for name, tensor in item.payload.tensors.items()
    }
    return dataclasses.replace(item, payload=dataclasses.replace(item.payload, tensors=tensors))


def test_equal_ranks_and_norms_give_the_plain_mean():
    method = installed(HetloraConfig(rank=4))
    state = method.initial_state()
    made = [
        random_part(method, state, client_id, num_samples=1 + client_id)[0] for client_id in (0, 1)
    ]
    norms = [product_norm(item.payload.tensors) for item in made]
    made[1] = scaled(made[1], norms[0] / norms[1])
    after = method.aggregate(state, made)
    for name in filter(is_factor, method.initial):
        plain = (made[0].payload.tensors[name] + made[1].payload.tensors[name]) / 2
        torch.testing.assert_close(after.tensors[name], plain, rtol=1e-5, atol=1e-6)
    first, second = (item.payload.tensors["head.bias"] for item in made)
    torch.testing.assert_close(after.tensors["head.bias"], (first + 2 * second) / 3)


def test_weights_are_the_norms_of_the_products_and_missing_ranks_count_as_zeros():
    method = installed(HetloraConfig(rank=(4, 1)))
    state = method.initial_state()
    made = [random_part(method, state, client_id)[0] for client_id in (0, 1)]
    dense = []
    for item in made:
        tensors = item.payload.tensors
        layers = [name.removesuffix(".lora_A") for name in tensors if name.endswith(".lora_A")]
        squares = [
            (tensors[f"{layer}.lora_B"].double() @ tensors[f"{layer}.lora_A"].double())
            .square()
            .sum()
            for layer in layers
        ]
        dense.append(float(sum(squares)) ** 0.5)
    weights = [norm / sum(dense) for norm in dense]
    assert weights[0] > weights[1] > 0
    after = method.aggregate(state, made)
    name = next(name for name in method.initial if name.endswith(".lora_A"))
    large, small = (item.payload.tensors[name] for item in made)
    expected = weights[0] * large
    expected[:1] += weights[1] * small
    torch.testing.assert_close(after.tensors[name], expected, rtol=1e-5, atol=1e-6)


def test_clients_of_norm_zero_are_averaged_alike():
    method = installed(HetloraConfig(rank=4))
    state = method.initial_state()
    made = [scaled(random_part(method, state, client_id)[0], 0.0) for client_id in (0, 1)]
    after = method.aggregate(state, made)
    name = next(name for name in method.initial if name.endswith(".lora_A"))
    plain = (made[0].payload.tensors[name] + made[1].payload.tensors[name]) / 2
    torch.testing.assert_close(after.tensors[name], plain)


def test_tail_is_what_lies_beyond_gamma_r():
    method = installed(HetloraConfig(rank=8, gamma=0.6, min_rank=2))
    assert [method.kept_of(rank) for rank in (8, 5, 3, 2, 1)] == [4, 3, 2, 2, 1]
    tensors = {"a.lora_A": torch.ones((3, 4)), "a.lora_B": 2 * torch.ones((9, 3))}
    # |B tail| = sqrt(9 * 4), |A tail| = sqrt(4)
    assert tail_norm(tensors, kept=2).item() == pytest.approx(6.0 * 2.0, rel=1e-6)
    assert tail_norm(tensors, kept=3).item() == 0.0


def test_penalty_pulls_the_tail_alone_and_a_rank_at_the_least_has_none():
    method = installed(HetloraConfig(rank=(4, 1), gamma=0.5, penalty_weight=0.1))
    state = method.initial_state()
    start = method.start(method.download(state, client_id=0), method.initial_personal(0), version=0)
    parameters = {
        name: torch.randn(value.shape).requires_grad_() for name, value in start.tensors.items()
    }
    penalty = method.penalty(parameters, start)
    assert penalty.item() == pytest.approx(0.1 * tail_norm(parameters, kept=2).item(), rel=1e-6)
    penalty.backward()
    for name, value in parameters.items():
        if is_factor(name):
            axis = 0 if name.endswith("_A") else 1
            assert not value.grad.narrow(axis, 0, 2).any()
            assert value.grad.narrow(axis, 2, 2).any()
        else:
            assert value.grad is None
    least = method.start(method.download(state, client_id=1), method.initial_personal(1), version=0)
    assert method.penalty(parameters, least) is None


def test_pruning_makes_the_next_payloads_smaller_and_the_least_rank_holds():
    # The penalty alone decides: it outweighs the task by far, so every tail shrinks but the first,
    # which is zero at the start of round 1.
    config = HetloraConfig(rank=(6, 3), gamma=0.5, min_rank=2, penalty_weight=1e3)
    played = federation(config, num_clients=2, cohort=2, num_rounds=5)
    jobs = play(played)
    ranks = {0: [], 1: []}
    for job, _ in jobs:
        (rank,) = ranks_in(job.start.tensors)
        ranks[job.client_id].append(rank)
    assert ranks[0][:2] == [6, 6]
    assert ranks[0][2:] == sorted(ranks[0][2:], reverse=True)
    assert ranks[0][-1] == ranks[1][-1] == 2
    sizes = {rank: 2 * 2 * rank * 2 * 32 + 32 * 3 + 3 for rank in (6, 3, 2)}
    for job, state in jobs:
        (rank,) = ranks_in(job.start.tensors)
        down = played.method.download(state, client_id=job.client_id)
        assert sum(tensor.numel() for tensor in down.tensors.values()) == sizes[rank]
        upload = played.method.upload(
            {**job.start.tensors, **job.start.client_outputs}, version=job.version
        )
        assert sum(tensor.numel() for tensor in upload.tensors.values()) == sizes[rank] + 1
    sent_bytes = [row.uplink_bytes for row in played.recorder.rounds]
    assert sent_bytes[0] == sent_bytes[1] > sent_bytes[-1]


def test_a_tail_that_grew_is_kept():
    played = federation(HetloraConfig(rank=4, gamma=0.5), num_clients=1, cohort=1, num_rounds=1)
    ((job, _),) = play(played)
    result = run_job(job, played.worker)
    assert tail_norm(result.tensors, kept=2) > tail_norm(job.start.tensors, kept=2)
    assert result.tensors["next_rank"].item() == 4
    assert result.tensors["next_rank"].dtype == torch.int64
    assert played.method.rank_of(played.state, 0) == 4


def test_a_client_s_model_is_the_first_ranks_of_the_server_s():
    played = federation(
        HetloraConfig(rank=(6, 3, 1)), num_clients=5, cohort=3, num_rounds=4, num_texts=240
    )
    play(played)
    model = played.method.personal_model(played.state, played.personal.of(1))
    whole = played.method.global_model(played.state)
    for name, tensor in model.items():
        if name.endswith(".lora_A"):
            assert torch.equal(tensor, whole[name][: len(tensor)])
    assert max(ranks_in(model)) <= 3
    assert ranks_in(whole) == {6}


def test_no_learning_rate_gives_no_update_at_one_rank():
    still = TrainingConfig(local_steps=2, learning_rate=0.0)
    played = federation(HetloraConfig(), training=still)
    play(played)
    assert played.state.version == 3
    for name, tensor in played.method.initial.items():
        assert torch.equal(played.state.tensors[name], tensor)
    assert {played.method.rank_of(played.state, each) for each in played.client_ids} == {8}


def test_a_least_rank_above_a_first_one_is_refused():
    config = HetloraConfig(rank=(4, 2, 8), min_rank=3)
    assert config.find_problems(num_clients=2, task="classification") == [
        (("rank",), "must have at most clients.num_clients = 2, got 3"),
        (("min_rank",), "must be <= 2, the smallest rank, got 3"),
    ]
    assert HetloraConfig().find_problems(num_clients=2, task="classification") == []


@pytest.mark.parametrize(
    ("settings", "fields"),
    [
        ({"rank": 4, "min_rank": 4, "gamma": 0.5, "penalty_weight": 0.5},
         ["gamma", "penalty_weight"]),
        ({"rank": 1, "gamma": 0.5}, ["gamma"]),
        ({"rank": 1, "penalty_weight": 0.0}, ["penalty_weight"]),
        ({"rank": (4, 4), "min_rank": 3, "gamma": 0.5, "penalty_weight": 0.5}, ["gamma"]),
        ({"rank": (4, 2), "min_rank": 2, "gamma": 0.5, "penalty_weight": 0.5}, []),
        ({"rank": 1}, []),
        ({"rank": 4, "min_rank": 4}, []),
    ],
)  # fmt: skip
def test_settings_of_tails_that_no_rank_has_are_refused(settings, fields):
    found = HetloraConfig(**settings).find_problems(num_clients=2, task="classification")
    assert [path for path, _ in found] == [(field,) for field in fields]
    assert all("min_rank" in rule and f"got {settings[path[0]]:g}" in rule for path, rule in found)


@pytest.mark.parametrize("gamma", [0.01, 0.5, 0.99])
def test_a_tail_of_one_rank_is_one_whatever_gamma(gamma):
    method = installed(HetloraConfig(rank=4, min_rank=3, gamma=gamma))
    assert method.kept_of(4) == 3


def test_numbers_on_roberta_base_are_those_of_lora():
    method = installed(HetloraConfig(rank=8), module=roberta_base_on_meta())
    down = method.download(method.initial_state(), client_id=0)
    start = method.start(down, method.initial_personal(0), version=0)
    up = method.upload({**start.tensors, **start.client_outputs}, version=0)
    for payload in (down, up):
        numbers = {name: tensor.numel() for name, tensor in payload.tensors.items()}
        assert sum(count for name, count in numbers.items() if "lora_" in name) == 294_912
