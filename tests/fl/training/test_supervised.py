"""A job is a pure function: same bytes again, in any order, whatever ran before."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fl.execution.executor import InProcessExecutor
from fl.execution.run_job import run_job
from fl.methods import METHODS
from fl.training.batches import plan_batches
from fl.training.job import JobSettings, TrainJob
from fl.training.worker import Worker
from tests.fl.fakes import examples, install

KINDS = sorted(METHODS)
SETTINGS = JobSettings(
    local_steps=4,
    local_epochs=None,
    batch_size=8,
    learning_rate=1e-2,
    weight_decay=0.01,
    max_gradient_norm=1.0,
)


def worker_of(kind):
    method, module = install(kind)
    return Worker(
        module=module, method=method, train=examples(60), test=examples(10), model_key="key"
    )


def job_of(worker, client_id=0, **changes):
    method = worker.method
    download = method.download(method.initial_state(), client_id=client_id)
    job = TrainJob(
        model_key="key",
        client_id=client_id,
        round=1,
        version=0,
        start=method.start(download, method.initial_personal(client_id), version=0),
        samples=np.arange(20 * client_id, 20 * client_id + 20),
        settings=SETTINGS,
        seed=11 + client_id,
    )
    return replace(job, **changes)


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
    assert result.num_steps == 4
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


def test_missing_tensors_are_refused():
    worker = worker_of("fedit")
    with pytest.raises(ValueError, match="must be those that fedit installed"):
        worker.load({})


def test_divergence_says_where():
    worker = worker_of("fedit")
    job = job_of(worker)
    broken = {name: torch.full_like(value, math.nan) for name, value in job.start.tensors.items()}
    with pytest.raises(FloatingPointError, match="step 0 of client 0 in round 1"):
        run_job(replace(job, start=replace(job.start, tensors=broken)), worker)


def test_digest_moves_with_every_input():
    worker = worker_of("fedit")
    job = job_of(worker)
    name = job.start.trainable[0]
    nudged = {**job.start.tensors, name: job.start.tensors[name] + 1e-6}
    others = [
        replace(job, seed=12),
        replace(job, round=2),
        replace(job, client_id=1),
        replace(job, model_key="other"),
        replace(job, samples=job.samples[::-1]),
        replace(job, settings=replace(SETTINGS, learning_rate=2e-2)),
        replace(job, start=replace(job.start, tensors=nudged)),
        replace(job, start=replace(job.start, trainable=job.start.trainable[1:])),
    ]
    digests = {job.digest(), *(other.digest() for other in others)}
    assert len(digests) == 1 + len(others)
    assert replace(job, samples=job.samples.copy()).digest() == job.digest()


def test_a_job_nobody_asks_for_is_never_computed():
    worker = worker_of("local")
    executor = InProcessExecutor(worker)
    handles = [executor.submit(job_of(worker, client_id)) for client_id in range(3)]
    assert (executor.num_submitted, executor.num_computed) == (3, 0)
    assert handles[1].result() is handles[1].result()
    assert executor.num_computed == 1
    assert executor.host_training_s > 0


@given(
    num_texts=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    local_steps=st.integers(1, 20),
    seed=st.integers(0, 5),
)
def test_batches_by_steps_use_texts_evenly(num_texts, batch_size, local_steps, seed):
    samples = 100 + np.arange(num_texts)
    batches = plan_batches(
        samples, batch_size=batch_size, local_steps=local_steps, local_epochs=None, seed=seed
    )
    assert len(batches) == local_steps
    assert {len(batch) for batch in batches} == {min(batch_size, num_texts)}
    assert all(len(np.unique(batch)) == len(batch) for batch in batches)
    counts = np.bincount(np.concatenate(batches) - 100, minlength=num_texts)
    assert counts.max() - counts.min() <= 1


@given(num_texts=st.integers(1, 30), batch_size=st.integers(1, 12), epochs=st.integers(1, 4))
def test_batches_by_epochs_cover_every_text_each_time(num_texts, batch_size, epochs):
    batches = plan_batches(
        np.arange(num_texts), batch_size=batch_size, local_steps=None, local_epochs=epochs, seed=1
    )
    counts = np.bincount(np.concatenate(batches), minlength=num_texts)
    assert set(counts) == {epochs}
    assert len(batches) == epochs * math.ceil(num_texts / min(batch_size, num_texts))


def test_length_of_a_job_must_be_given_once():
    with pytest.raises(ValueError, match="give exactly one"):
        plan_batches(np.arange(3), batch_size=2, local_steps=1, local_epochs=1, seed=0)
    with pytest.raises(ValueError, match="at least 1 text"):
        plan_batches(np.arange(0), batch_size=2, local_steps=1, local_epochs=None, seed=0)
