"""A job is a pure function: same bytes again, in any order, whatever ran before."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fl.execution.run_job import run_job
from fl.methods import METHODS
from fl.server.modes import run_server
from fl.training.config import TrainingConfig
from fl.training.objective import Phases
from tests.fl.fakes import SMALLEST, federation
from tests.fl.training.jobs import SETTINGS, job_of, worker_of

KINDS = sorted(METHODS)


def same(first, second):
    return all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


@pytest.mark.parametrize("kind", KINDS)
def test_same_job_gives_same_bytes_whatever_ran_before(kind):
    worker = worker_of(kind)
    jobs = [job_of(worker, client_id) for client_id in range(3)]
    forward = [run_job(job, worker) for job in jobs]
    torch.rand(5)
    backward = [run_job(job, worker) for job in reversed(jobs)][::-1]
    fresh = run_job(jobs[1], worker_of(kind))
    for first, second in zip(forward, backward, strict=True):
        assert same(first, second)
        assert first.mean_loss == second.mean_loss
    assert same(fresh, forward[1])
    assert not same(forward[0], forward[1])


@pytest.mark.parametrize("kind", KINDS)
def test_upload_differs_from_download_after_training(kind):
    worker = worker_of(kind)
    job = job_of(worker)
    result = run_job(job, worker)
    for name in job.start.trainable:
        # A has no gradient while B is zero: it moves from the second step on.
        assert not torch.equal(result.tensors[name], job.start.tensors[name]), name
    num_phases = 2 if isinstance(worker.method.objective, Phases) else 1
    assert result.num_steps == 4 * num_phases
    assert result.num_samples == 20


@pytest.mark.parametrize("kind", KINDS)
def test_learning_rate_zero_gives_a_zero_update(kind):
    worker = worker_of(kind)
    job = job_of(worker, settings=replace(SETTINGS, learning_rate=0.0))
    result = run_job(job, worker)
    for name, tensor in job.start.tensors.items():
        assert torch.equal(result.tensors[name], tensor)


@pytest.mark.parametrize("kind", KINDS)
def test_backbone_and_inputs_are_never_touched(kind):
    worker = worker_of(kind)
    job = job_of(worker)
    installed = worker.method.initial.keys()
    before = {
        name: value.detach().clone()
        for name, value in worker.module.named_parameters()
        if name not in installed
    }
    start = {name: value.clone() for name, value in job.start.tensors.items()}
    run_job(job, worker)
    after = dict(worker.module.named_parameters())
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(torch.equal(job.start.tensors[name], start[name]) for name in start)
    assert not any(value.requires_grad or value.grad is not None for value in after.values())


def test_loss_falls_and_starts_near_uniform():
    worker = worker_of("fedit")
    short = run_job(job_of(worker, settings=replace(SETTINGS, local_steps=1)), worker)
    assert abs(short.mean_loss - math.log(3)) < 0.5
    long = run_job(job_of(worker, settings=replace(SETTINGS, local_steps=60)), worker)
    assert long.mean_loss < 0.6 * short.mean_loss


def test_only_named_tensors_are_trained():
    worker = worker_of("fedit")
    job = job_of(worker)
    half = tuple(name for name in job.start.trainable if name.endswith(".lora_B"))
    result = run_job(replace(job, start=replace(job.start, trainable=half)), worker)
    for name, tensor in job.start.tensors.items():
        assert torch.equal(result.tensors[name], tensor) == (name not in half)


def test_a_job_for_another_model_is_refused():
    worker = worker_of("fedit")
    with pytest.raises(ValueError, match="made for other, worker holds key"):
        run_job(job_of(worker, model_key="other"), worker)


def test_a_smaller_rank_than_installed_is_zero_rows_at_its_own_scale():
    worker = worker_of("fedit")
    generator = torch.Generator().manual_seed(4)
    narrow, padded = {}, {}
    for name, value in worker.method.initial.items():
        drawn = torch.randn(value.shape, generator=generator)
        narrow[name] = padded[name] = drawn
        if name.endswith(".lora_A"):
            narrow[name] = drawn[:2]
            padded[name] = torch.cat([drawn[:2], torch.zeros_like(drawn[2:])])
        elif name.endswith(".lora_B"):
            narrow[name] = drawn[:, :2]
            padded[name] = drawn * (8 / 2)  # alpha / r: rank 2 in place of 8
    batch = worker.train.batch(np.arange(6))
    worker.load(narrow)
    first = worker.module(batch.input_ids, batch.attention_mask)
    assert all(worker.read([name])[name].shape == value.shape for name, value in narrow.items())
    worker.load(padded)
    second = worker.module(batch.input_ids, batch.attention_mask)
    torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)


def test_divergence_says_where():
    worker = worker_of("fedit")
    job = job_of(worker)
    broken = {name: torch.full_like(value, math.nan) for name, value in job.start.tensors.items()}
    with pytest.raises(FloatingPointError, match="step 0 of client 0 in round 1"):
        run_job(replace(job, start=replace(job.start, tensors=broken)), worker)


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_the_root_of_the_mean_square_is_that_of_the_texts_losses(task):
    """At a learning rate of next to nothing every step meets the model of the start."""
    training = TrainingConfig(local_epochs=1, batch_size=8, learning_rate=1e-12)
    made = federation(SMALLEST["fedit"], training=training, task=task, cohort=1, num_rounds=1)
    made.env.run(until=made.env.process(run_server(made)))
    (row,) = made.recorder.clients
    worker = made.worker
    worker.load(made.method.global_model(made.method.initial_state()))
    with torch.inference_mode():
        each = [
            float(worker.module.loss(worker.train.batch(np.array([text]))))
            for text in made.shards[row.client_id].train
        ]
    found = made.roster.last_rms_loss[row.client_id]
    assert found == pytest.approx(np.sqrt(np.mean(np.square(each))), rel=1e-5)
    if task == "classification":
        assert made.roster.last_loss[row.client_id] == pytest.approx(np.mean(each), rel=1e-5)
