"""Zeroth-order steps: the estimate against the gradient, costs by hand, one job one result."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn

from fl.clients.work import Work
from fl.data.shards import GivenShards, Shard
from fl.execution.procedures import procedure_of
from fl.execution.run_job import run_job
from fl.training.cost import CostModel
from fl.training.directions import Directions
from fl.training.job import Start
from fl.training.objective import ZerothOrder
from fl.training.procedure import works_of
from fl.training.zeroth_order import PROBABILITIES, SEEDS, STEPS, ZerothOrderSteps
from tests.fl.fakes import classifier, examples
from tests.fl.training.jobs import SETTINGS, job_of, worker_of

SIZE = 6
CURVATURE = torch.diag(torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0, 4.0])) + 0.2
MINIMUM = torch.tensor([1.0, -1.0, 0.5, 0.0, 2.0, -0.3])


class Quadratic(nn.Module):
    """``(w - c)^T H (w - c) / 2``, whatever the texts."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(SIZE, dtype=torch.float64))

    def losses(self, batch):
        away = self.w - MINIMUM.double()
        loss = 0.5 * away @ CURVATURE.double() @ away
        return loss, loss.detach().repeat(len(batch))


@dataclass
class QuadraticWorker:
    """A worker whose model is the quadratic."""

    module: Quadratic

    @property
    def parameters(self):
        return dict(self.module.named_parameters())

    def check_key(self, key):
        assert key == "key"

    def load(self, tensors):
        self.module.w.data = tensors["w"]

    def batch(self, table, indices):
        return indices


def outputs(num_steps):
    return {SEEDS: torch.zeros(num_steps, dtype=torch.int32), STEPS: torch.zeros(num_steps)}


def quadratic_jobs(
    *, num_steps, learning_rate, num_seeds=100_000, epsilon=1e-3, seeds=(1,), at=0.0
):
    """Give the objective, and the result of a job of each seed from the same weights."""
    objective = ZerothOrder(seed=5, num_seeds=100_000, num_steps=num_steps, epsilon=1e-3)
    made = replace(SETTINGS, learning_rate=learning_rate)
    procedure = ZerothOrderSteps(settings=made, objective=objective, train=examples(20))
    worker = QuadraticWorker(Quadratic())
    start = Start(
        tensors={"w": torch.full((SIZE,), at, dtype=torch.float64)},
        trainable=("w",),
        client_outputs=outputs(num_steps),
    )
    like = job_of(worker_of("fedkseed"), settings=made, start=start)
    return objective, [procedure.run(replace(like, seed=seed), worker) for seed in seeds]


def test_the_mean_estimate_is_the_gradient():
    """Of a quadratic the slope is exact, so ``z (z.g)`` has mean ``g``, variance ``|g|^2 + g_i^2``.

    Jobs of one step from the same weights; the mean of each coordinate lies within 4.5 standard
    errors of the gradient.
    """
    num_jobs, rate = 3_000, 1e-3
    objective, results = quadratic_jobs(num_steps=1, learning_rate=rate, seeds=range(num_jobs))
    gradient = -(CURVATURE @ MINIMUM).double()
    estimates = torch.stack([-result.tensors["w"] / rate for result in results])
    wrong = estimates.mean(dim=0).neg() + gradient
    error = ((gradient.square().sum() + gradient.square()) / num_jobs).sqrt()
    assert (wrong.abs() < 4.5 * error).all()
    assert (error < gradient.abs().max() / 20).all(), "the interval would hold anything"
    for result in results[:20]:
        index = int(result.tensors[SEEDS][0])
        room = {"w": torch.zeros(SIZE)}
        direction = dict(Directions(objective.seed, ("w",)).draw(index, room))["w"].double()
        slope = float(result.tensors[STEPS][0]) / rate
        assert slope == pytest.approx(float(direction @ gradient), rel=1e-5, abs=1e-6)


def test_a_long_walk_reaches_the_minimum():
    _, (result,) = quadratic_jobs(num_steps=1_500, learning_rate=0.03)
    assert torch.allclose(result.tensors["w"], MINIMUM.double(), atol=1e-2)
    assert result.num_steps == 1_500


def test_losses_are_the_mean_of_both_sides():
    _, (result,) = quadratic_jobs(num_steps=1, learning_rate=0.0)
    value = 0.5 * float(MINIMUM @ CURVATURE @ MINIMUM)
    assert result.mean_loss == pytest.approx(value, rel=1e-4)
    assert result.rms_loss == pytest.approx(value, rel=1e-4)
    assert result.tensors["w"].abs().max() == 0


def test_a_loss_that_is_not_finite_ends_the_job_with_its_name():
    with pytest.raises(FloatingPointError, match="loss inf at step 0 of client 0 in round 1"):
        quadratic_jobs(num_steps=2, learning_rate=1.0, at=1e200)


def test_the_job_goes_where_its_outputs_say():
    """On a model: from the start along each direction by each length, to rounding."""
    worker = worker_of("fedkseed")
    job = job_of(worker)
    result = run_job(job, worker)
    objective = worker.method.objective
    directions = Directions(objective.seed, job.start.trainable)
    weights = {name: job.start.tensors[name].double() for name in job.start.trainable}
    pairs = zip(result.tensors[SEEDS].tolist(), result.tensors[STEPS].tolist(), strict=True)
    for index, length in pairs:
        assert 0 <= index < objective.num_seeds
        for name, value in directions.draw(index, weights):
            weights[name] = weights[name] - length * value.double()
    for name, value in weights.items():
        assert torch.allclose(result.tensors[name].double(), value, rtol=0, atol=1e-6)
    assert not any(job.start.tensors[name] is result.tensors[name] for name in job.start.trainable)


def test_directions_follow_the_seed_of_the_job_and_the_probabilities():
    worker = worker_of("fedkseed")
    job = job_of(worker)
    drawn = run_job(job, worker).tensors[SEEDS]
    assert torch.equal(run_job(job, worker).tensors[SEEDS], drawn)
    assert not torch.equal(run_job(replace(job, seed=99), worker).tensors[SEEDS], drawn)
    likely = torch.zeros(worker.method.objective.num_seeds)
    likely[[3, 8]] = torch.tensor([0.2, 0.7])
    start = replace(job.start, client_outputs={**job.start.client_outputs, PROBABILITIES: likely})
    found = run_job(replace(job, start=start), worker).tensors
    assert set(found[SEEDS].tolist()) <= {3, 8}
    assert torch.equal(found[PROBABILITIES], likely)


def test_outputs_that_were_not_announced_are_refused():
    worker = worker_of("fedkseed")
    job = job_of(worker)
    with pytest.raises(ValueError, match="must give tensors of the names and shapes"):
        run_job(replace(job, start=replace(job.start, client_outputs=outputs(9))), worker)
    other = procedure_of(replace(SETTINGS, learning_rate=1.0), worker)
    with pytest.raises(ValueError, match="settings: job was made for"):
        other.run(job, worker)


def test_operations_by_hand():
    """Two forward passes a step, and a multiply-add for each direction and weight."""
    worker = worker_of("fedkseed")
    job = job_of(worker)
    procedure = procedure_of(SETTINGS, worker)
    lengths = worker.train.tokens.lengths
    cost = CostModel(worker.module, max_tokens=int(lengths.max()))
    plan = procedure.plan(job.samples, seed=1)
    assert len(plan.steps) == worker.method.objective.num_steps == 4

    d, f, layers, classes = 32, 64, 2, 3

    def forward(num_texts, num_tokens):
        positions = num_texts * num_tokens
        layer = 8 * positions * d * d + 4 * positions * num_tokens * d + 4 * positions * d * f
        return layers * layer + 2 * num_texts * d * classes

    num_weights = sum(parameter.numel() for parameter in classifier().parameters())
    passes = sum(forward(len(each), int(lengths[each].max())) for each in plan.steps)
    wanted = Work(flop=2 * passes + 2 * 32 * num_weights)
    assert procedure.work(plan, job.start, cost) == wanted
    samples = [job.samples, job.samples[:5], np.arange(30, 50)]
    assert works_of(procedure, samples, job.start, cost, seed=3) == [
        procedure.work(procedure.plan(each, seed=3), job.start, cost) for each in samples
    ]


def largest_bytes(kind):
    worker = worker_of(kind)
    job = job_of(worker)
    cost = CostModel(worker.module, max_tokens=int(worker.train.tokens.lengths.max()))
    shards = GivenShards([Shard(train=job.samples, test=np.arange(3))])
    largest = procedure_of(SETTINGS, worker).largest(shards, job.start, cost)
    return largest.step.memory_bytes(), worker


def test_memory_is_that_of_a_forward_pass():
    need, worker = largest_bytes("fedkseed")
    assert need == sum(parameter.nbytes for parameter in worker.module.parameters())
    assert need < largest_bytes("head")[0] < largest_bytes("fedit")[0] < largest_bytes("full")[0]


def test_learning_lowers_the_loss_of_a_model():
    worker = worker_of("fedkseed")
    job = job_of(worker)
    objective = replace(worker.method.objective, num_seeds=4_096, num_steps=300)
    made = replace(SETTINGS, learning_rate=1e-3)
    procedure = ZerothOrderSteps(settings=made, objective=objective, train=worker.train)
    start = replace(job.start, client_outputs=outputs(300))
    result = procedure.run(replace(job, settings=made, start=start), worker)

    def loss(tensors):
        worker.load({name: tensors[name] for name in job.start.tensors})
        with torch.no_grad():
            return float(worker.module.loss(worker.train.batch(job.samples)))

    assert loss(result.tensors) < loss(job.start.tensors) - 0.02
    assert math.isfinite(result.mean_loss)
