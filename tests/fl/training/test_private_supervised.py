"""DP-SGD steps against the formula by hand on a linear model, and what a job makes of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fl.execution.packing import pack_trained, unpack_trained
from fl.execution.procedures import procedure_of
from fl.execution.run_job import run_job
from fl.training.optimiser_settings import Sgd
from fl.training.private_supervised import PrivateSupervised
from fl.training.sample_privacy import SamplePrivacy, noise_generator, poisson_batches
from fl.training.supervised import Supervised
from tests.fl.training.jobs import SETTINGS, job_of, worker_of

PRIVATE = SamplePrivacy(clip_norm=0.2, noise_multiplier=0.7)
PLAIN = replace(
    SETTINGS, optimiser=Sgd(), weight_decay=0.0, max_gradient_norm=None, learning_rate=0.5
)


def private_job(worker, privacy=PRIVATE, *, settings=PLAIN, **changes):
    return job_of(worker, settings=replace(settings, privacy=privacy), **changes)


def test_steps_of_a_linear_model_are_those_of_the_formula():
    """Of softmax regression: ``g_i = (p_i - y_i) (x_i, 1)``, clipped, summed, with noise, by B."""
    worker = worker_of("head")
    job = private_job(worker)
    found = run_job(job, worker)

    inputs = features(worker, job.samples)
    weight = job.start.tensors["head.weight"].double().numpy()
    bias = job.start.tensors["head.bias"].double().numpy()
    num_clipped, lengths = 0, []
    batches = list(poisson_batches(job.samples, batch_size=8, num_steps=4, seed=job.seed))
    for step, batch in enumerate(batches):
        total_w, total_b = np.zeros_like(weight), np.zeros_like(bias)
        for text in batch:
            x = inputs[text]
            scores = weight @ x + bias
            p = np.exp(scores - scores.max())
            p /= p.sum()
            p[worker.train.labels[text]] -= 1.0
            length = np.sqrt((np.outer(p, x) ** 2).sum() + (p**2).sum())
            factor = min(1.0, 0.2 / length)
            num_clipped += length > 0.2
            lengths.append(length)
            total_w += factor * np.outer(p, x)
            total_b += factor * p
        rng = noise_generator(job.seed, step=step)
        noise_b = 0.7 * 0.2 * rng.standard_normal(bias.size)  # names are in order
        noise_w = 0.7 * 0.2 * rng.standard_normal(weight.size).reshape(weight.shape)
        weight = weight - 0.5 * (total_w + noise_w) / 8
        bias = bias - 0.5 * (total_b + noise_b) / 8
    assert found.tensors["head.weight"].numpy() == pytest.approx(weight, abs=2e-5)
    assert found.tensors["head.bias"].numpy() == pytest.approx(bias, abs=2e-5)
    assert found.clipping.num_texts == sum(map(len, batches))
    assert found.clipping.num_clipped == num_clipped > 0
    assert found.clipping.median_norm == pytest.approx(np.median(lengths), rel=1e-4)


def features(worker, samples):
    """What the head reads of each text."""
    seen = {}

    def note(_, args):
        seen["x"] = args[0].double()

    hook = worker.module.head.register_forward_pre_hook(note)
    with torch.no_grad():
        worker.module.scores(worker.train.batch(samples))
    hook.remove()
    return dict(zip(samples.tolist(), seen["x"].numpy(), strict=True))


def test_without_noise_and_clipping_a_step_is_the_mean_gradient_of_what_was_drawn():
    worker = worker_of("fedit")
    free = SamplePrivacy(clip_norm=1e9, noise_multiplier=0.0)
    settings = replace(PLAIN, local_steps=1)
    job = private_job(worker, free, settings=settings)
    found = run_job(job, worker)
    (batch,) = poisson_batches(job.samples, batch_size=8, num_steps=1, seed=job.seed)
    named = worker.load(job.start.tensors, trainable=job.start.trainable)
    mean, _ = worker.module.losses(worker.batch("train", batch))
    for name, each in zip(job.start.trainable, torch.autograd.grad(mean, named), strict=True):
        wanted = job.start.tensors[name] - 0.5 * each * len(batch) / 8
        torch.testing.assert_close(found.tensors[name], wanted, rtol=1e-4, atol=1e-6)
    assert found.mean_loss == pytest.approx(mean.item(), rel=1e-5)
    assert found.clipping.num_clipped == 0


def test_noise_has_the_length_that_is_accounted():
    """With a clip norm so small that texts are nothing beside the noise."""
    worker = worker_of("fedit")
    settings = replace(PLAIN, local_steps=3, learning_rate=1.0)
    privacy = SamplePrivacy(clip_norm=1e-3, noise_multiplier=50.0)
    job = private_job(worker, privacy, settings=settings)
    found = run_job(job, worker)
    moved = torch.cat([
        (found.tensors[name] - job.start.tensors[name]).flatten() for name in job.start.trainable
    ])  # fmt: skip
    assert float(moved.double().std()) == pytest.approx(3**0.5 * 0.05 / 8, rel=0.1)


def test_jobs_repeat_and_differ_by_seed_and_settings():
    worker = worker_of("fedit")
    first, again = (run_job(private_job(worker), worker) for _ in range(2))
    other = run_job(private_job(worker, seed=99), worker)
    name = first_trained(worker)
    assert torch.equal(first.tensors[name], again.tensors[name])
    assert not torch.equal(first.tensors[name], other.tensors[name])
    digests = {
        private_job(worker, privacy).digest()
        for privacy in (
            None,
            PRIVATE,
            replace(PRIVATE, clip_norm=0.3),
            replace(PRIVATE, noise_multiplier=0.8),
            replace(PRIVATE, delta=1e-4),
        )
    }
    assert len(digests) == 5


def first_trained(worker):
    return job_of(worker).start.trainable[0]


@pytest.mark.parametrize("kind", ["fedit", "fedtt"])
def test_passes_of_fewer_texts_give_the_same_but_for_rounding(kind):
    worker = worker_of(kind)
    whole = run_job(private_job(worker), worker)
    parted = run_job(private_job(worker, settings=replace(PLAIN, micro_batch_size=3)), worker)
    for name, each in whole.tensors.items():
        torch.testing.assert_close(parted.tensors[name], each, rtol=1e-3, atol=1e-5)
    assert parted.clipping.num_texts == whole.clipping.num_texts


def test_a_penalty_is_added_after_the_noise():
    """The correction of SCAFFOLD reads no text: its length is not clipped."""
    worker = worker_of("scaffold")
    settings = replace(PLAIN, local_steps=1)
    privacy = SamplePrivacy(clip_norm=1e-9, noise_multiplier=0.0)
    job = private_job(worker, privacy, settings=settings)
    gap = {
        name: torch.ones_like(value) if name.startswith("control_gap.") else value
        for name, value in job.start.client_outputs.items()
    }
    found = run_job(replace(job, start=replace(job.start, client_outputs=gap)), worker)
    for name in job.start.trainable:
        torch.testing.assert_close(found.tensors[name], job.start.tensors[name] - 0.5)


def test_steps_without_any_text_are_noise_alone():
    worker = worker_of("head")
    seed = next(
        seed
        for seed in range(999)
        if not any(map(len, poisson_batches(np.arange(20), batch_size=1, num_steps=1, seed=seed)))
    )
    settings = replace(PLAIN, local_steps=1, batch_size=1)
    found = run_job(private_job(worker, settings=settings, seed=seed), worker)
    assert found.clipping.num_texts == 0
    assert np.isnan(found.mean_loss)
    assert not torch.equal(found.tensors["head.bias"], job_of(worker).start.tensors["head.bias"])


def test_the_procedure_plans_what_it_runs_and_counts_gradients_of_texts_in_memory():
    worker = worker_of("fedit")
    job = private_job(worker)
    procedure = procedure_of(job.settings, worker)
    assert isinstance(procedure, PrivateSupervised)
    plan = procedure.plan(job.samples, seed=job.seed)
    drawn = poisson_batches(job.samples, batch_size=8, num_steps=4, seed=job.seed)
    assert [each.tolist() for each in plan.steps] == [each.tolist() for each in drawn]
    plain = procedure_of(PLAIN, worker)
    assert type(plain) is Supervised


def test_what_clipping_met_is_packed():
    worker = worker_of("head")
    job = private_job(worker)
    result = run_job(job, worker)
    assert unpack_trained(job, pack_trained(job, result)).clipping == result.clipping
    plain = job_of(worker)
    result = run_job(plain, worker)
    assert unpack_trained(plain, pack_trained(plain, result)).clipping is None
