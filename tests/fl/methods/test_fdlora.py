"""FDLoRA: outer step, refresh, fusion, and what never leaves."""

import dataclasses

import numpy as np
import pytest
import torch

from fl.execution.procedures import procedure_of
from fl.execution.run_job import run_job
from fl.methods.averaging import weighted_mean
from fl.methods.fdlora.config import FdloraConfig
from fl.methods.fdlora.fusion import coordinate_search, fused
from fl.methods.fdlora.method import FUSION, OWN, REFRESHED, outer_step
from fl.training.config import TrainingConfig
from tests.fl.fakes import federation, roberta_base_on_meta
from tests.fl.methods.products import installed, play, products, random_part


def payload_numbers(shape, version):
    d, rank = shape.hidden, 8
    numbers = 2 * shape.layers * rank * 2 * d + d * shape.num_classes + shape.num_classes
    return numbers, numbers


def own_of(tensors):
    return {
        name.removeprefix(OWN): tensor for name, tensor in tensors.items() if name.startswith(OWN)
    }


def test_without_momentum_the_shared_part_is_the_mean():
    method = installed(FdloraConfig(outer_learning_rate=1.0, outer_momentum=0.0))
    state = method.initial_state()
    for version in range(3):
        made = [
            random_part(method, state, each, num_samples=each + 1, version=version)[0]
            for each in (0, 1)
        ]
        state = method.aggregate(state, made)
        expected = weighted_mean([item.payload.tensors for item in made], [1, 2])
        for name, tensor in expected.items():
            torch.testing.assert_close(state.tensors[name], tensor, rtol=1e-6, atol=1e-6)


def test_outer_step_is_torch_s_nesterov():
    generator = torch.Generator().manual_seed(2)
    config = FdloraConfig(outer_learning_rate=0.7, outer_momentum=0.5)
    parameter = torch.nn.Parameter(torch.randn(5, generator=generator, dtype=torch.float64))
    optimiser = torch.optim.SGD([parameter], lr=0.7, momentum=0.5, nesterov=True)
    tensors, memory = {"x": parameter.detach().clone()}, {}
    for _ in range(4):
        mean = torch.randn(5, generator=generator, dtype=torch.float64)
        parameter.grad = parameter.detach() - mean
        optimiser.step()
        tensors, memory = outer_step(config, before=tensors, mean={"x": mean}, memory=memory)
        torch.testing.assert_close(tensors["x"], parameter.detach(), rtol=1e-12, atol=1e-12)


def test_first_aggregation_is_the_mean_and_momentum_begins_with_the_second():
    method = installed(FdloraConfig())
    state = method.initial_state()
    for version in (1, 2):
        made = [random_part(method, state, each, version=version)[0] for each in (0, 1)]
        before, state = state, method.aggregate(state, made)
        name = "head.bias"
        mean = sum(item.payload.tensors[name] for item in made) / 2
        change = mean - before.tensors[name]
        expected = mean if version == 1 else before.tensors[name] + 1.5 * change
        torch.testing.assert_close(state.tensors[name], expected, rtol=1e-6, atol=1e-6)


def test_fused_factors_worked_out_by_hand():
    shared = {
        "a.lora_A": torch.tensor([[1.0, 2.0]]),
        "a.lora_B": torch.tensor([[1.0], [0.0]]),
        "head.bias": torch.ones(1),
    }
    own = {"a.lora_A": torch.tensor([[0.0, 4.0]]), "a.lora_B": torch.tensor([[2.0], [2.0]])}
    both = fused(shared, own, weights=(0.5, -0.5))
    assert torch.equal(both["a.lora_A"], torch.tensor([[0.5, -1.0]]))
    assert torch.equal(both["a.lora_B"], torch.tensor([[-0.5], [-1.0]]))
    # 1/4 B_1 A_1 + 1/4 B_2 A_2 - 1/4 (B_1 A_2 + B_2 A_1)
    #   = 1/4 ([[1, 2], [0, 0]] + [[0, 8], [0, 8]] - [[0, 4], [0, 0]] - [[2, 4], [2, 4]])
    assert torch.equal(products(both)["a"], torch.tensor([[-0.25, 0.5], [-0.5, 1.0]]).double())
    assert both["head.bias"] is shared["head.bias"]
    same = fused(shared, {name: shared[name] for name in own}, weights=(0.25, 0.75))
    assert all(torch.equal(same[name], shared[name]) for name in shared)


@pytest.mark.parametrize("num_evaluations", [1, 3, 5, 40])
def test_search_spends_its_evaluations_within_the_bounds(num_evaluations):
    tried = []

    def objective(pair):
        tried.append(pair)
        return (pair[0] - 0.7) ** 2 + (pair[1] - 2.0) ** 2

    best = coordinate_search(objective, num_evaluations=num_evaluations)
    assert len(tried) == num_evaluations
    assert tried[0] == (0.0, 0.0)
    assert np.abs(tried).max() <= 1.5
    assert objective(best) == min(objective(pair) for pair in list(tried))
    if num_evaluations == 5:
        # (0, 0) -> (1/2, 0) -> (1/2, 1/2), not (1, 1/2), not (0, 1/2): the fifth is the last.
        assert tried[:5] == [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (1.0, 0.5), (0.0, 0.5)]
        assert best == (0.5, 0.5)
    if num_evaluations == 40:
        assert best == pytest.approx((0.7, 1.5), abs=0.07)


def test_first_job_gives_the_personal_lora_and_every_fifth_later_refreshes_it():
    played = federation(FdloraConfig(), num_clients=2, cohort=2, num_rounds=7)
    jobs = play(played)
    for job, _ in jobs:
        result = run_job(job, played.worker)
        own, held = own_of(result.tensors), own_of(job.start.client_outputs)
        is_new = job.version in (0, 5)
        assert own.keys() == held.keys() == set(played.method.lora)
        for name in own:
            assert torch.equal(own[name], result.tensors[name] if is_new else held[name])
        assert result.tensors[REFRESHED].item() == (0 if job.version < 5 else 5)


def test_a_client_that_was_away_refreshes_when_it_is_back():
    played = federation(
        FdloraConfig(sync_every=2), num_clients=6, cohort=2, num_rounds=9, num_texts=240
    )
    jobs = play(played)
    last = {}
    for job, _ in jobs:
        held = last.get(job.client_id, -1)
        assert job.start.client_outputs[REFRESHED].item() == held
        if held < 0 or job.version - held >= 2:
            last[job.client_id] = job.version
    assert len(last) > 3


def test_weights_found_are_no_worse_than_none_on_texts_that_the_client_never_trains_on():
    config = FdloraConfig(fusion_penalty=0.0)
    played = federation(config, num_clients=2, cohort=2, num_rounds=3)
    jobs = play(played)
    method, worker, moved = played.method, played.worker, 0
    held_out = {}
    for job, _ in jobs:
        result = run_job(job, worker)
        size = job.settings.batch_size
        batches = method.finish_batches(job.samples, batch_size=size)
        searched = batches[: len(batches) // config.fusion_evaluations]
        texts = np.concatenate(searched)
        assert len(texts) == min(max(round(len(job.samples) / 10), 1), 2 * size)
        steps = procedure_of(job.settings, worker).plan(job.samples, seed=job.seed).steps
        assert not set(texts) & set(np.concatenate(steps))
        assert {*texts, *np.concatenate(steps)} <= set(job.samples)
        assert list(held_out.setdefault(job.client_id, texts)) == list(texts)
        losses = []
        for pair in ((0.0, 0.0), result.tensors[FUSION].tolist()):
            worker.load(fused(job.start.tensors, own_of(result.tensors), weights=pair))
            with torch.inference_mode():
                losses.append(
                    np.mean([float(worker.module.loss(worker.train.batch(b))) for b in searched])
                )
        assert losses[1] <= losses[0] + 1e-6
        moved += losses[1] < losses[0]
    assert moved


def test_the_personal_update_is_weighed_by_the_fourth_evaluation_at_the_latest():
    for num_evaluations in (3, 4):
        best = coordinate_search(lambda pair: -pair[1], num_evaluations=num_evaluations)
        assert best == ((0.0, 0.0) if num_evaluations < 4 else (0.0, 0.5))


def test_the_search_costs_its_forward_passes():
    seconds = []
    for evaluations in (4, 12):
        config = FdloraConfig(fusion_evaluations=evaluations)
        played = federation(config, num_clients=1, cohort=1, num_rounds=1, devices=["laptop"])
        play(played)
        seconds.append(played.recorder.clients[0].compute_s)
        lengths = played.worker.train.tokens.lengths
        texts = played.shards[0].train
        batches = played.method.finish_batches(texts, batch_size=8)
        batches = batches[: len(batches) // evaluations]
        pass_flop = played.cost.job_flop(
            (), batches=batches, lengths=lengths, tensors=played.method.initial
        )
    assert seconds[1] - seconds[0] == pytest.approx(
        8 * pass_flop / played.devices[0].speed.flop_per_s, rel=1e-9
    )


def test_what_is_personal_is_in_no_payload():
    played = federation(FdloraConfig(), num_clients=2, cohort=2, num_rounds=3)
    jobs = play(played)
    private = {data_of(t) for client_id in (0, 1) for t in played.personal.of(client_id).values()}
    for job, state in jobs:
        result = run_job(job, played.worker)
        up = played.method.upload(result.tensors, version=job.version)
        down = played.method.download(state, client_id=job.client_id)
        for payload in (up, down):
            assert set(payload.tensors) == set(played.method.initial)
            if job.round > 1:  # in round 1 the personal LoRA is the one that is sent
                assert not private & {data_of(t) for t in payload.tensors.values()}
    assert not any(name.startswith((OWN, FUSION)) for name in played.state.memory)


def data_of(tensor):
    return tensor.numpy().tobytes()


def test_an_untrained_client_uses_the_server_s_model_and_a_trained_one_its_fusion():
    played = federation(FdloraConfig(), num_clients=6, cohort=2, num_rounds=2, num_texts=240)
    play(played)
    away = next(each for each in played.client_ids if each not in played.personal)
    model = played.method.personal_model(played.state, played.personal.of(away))
    assert model is played.state.tensors
    held = played.personal.of(next(i for i in played.client_ids if i in played.personal))
    model = played.method.personal_model(played.state, held)
    first, second = held[FUSION].tolist()
    for name, factor in own_of(held).items():
        assert torch.equal(model[name], first * played.state.tensors[name] + second * factor)


def test_a_job_s_digest_depends_on_what_is_held_beside_the_model():
    played = federation(FdloraConfig(), num_clients=1, cohort=1, num_rounds=1)
    ((job, _),) = play(played)
    other = {**job.start.client_outputs, FUSION: torch.tensor([0.5, 0.5], dtype=torch.float64)}
    changed = dataclasses.replace(job, start=dataclasses.replace(job.start, client_outputs=other))
    assert changed.digest() != job.digest()


def test_no_learning_rate_gives_no_update():
    still = TrainingConfig(local_steps=2, learning_rate=0.0)
    played = federation(FdloraConfig(), training=still)
    play(played)
    assert played.state.version == 3
    for name, tensor in played.method.initial.items():
        assert torch.equal(played.state.tensors[name], tensor)


def test_numbers_on_roberta_base_are_those_of_lora():
    method = installed(FdloraConfig(rank=8), module=roberta_base_on_meta())
    down = method.download(method.initial_state(), client_id=0)
    start = method.start(down, method.initial_personal(0), version=0)
    up = method.upload({**start.tensors, **start.client_outputs}, version=0)
    for payload in (down, up):
        numbers = {name: tensor.numel() for name, tensor in payload.tensors.items()}
        assert sum(count for name, count in numbers.items() if "lora_" in name) == 294_912
