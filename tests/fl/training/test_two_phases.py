"""Two phases of a job: the second begins where the first ended, and trains its part alone."""

from dataclasses import replace

import pytest
import torch

from fl.data.shards import GivenShards, Shard
from fl.training.cost import CostModel
from fl.training.supervised import Supervised
from fl.training.two_phases import TwoPhases
from tests.fl.fakes import language_model
from tests.fl.training.alignment import SETTINGS, aligned
from tests.fl.training.test_policy_optimisation import same

SECOND = replace(SETTINGS, learning_rate=5e-3, local_steps=2)


def phased():
    """Return (procedure, worker, job): all of a layer supervised, its queries by rewards."""
    module = language_model()
    names = sorted(name for name, _ in module.named_parameters() if "layers.1." in name)
    part = tuple(name for name in names if "q_proj" in name)
    rewarded, worker, job = aligned(module, names=names)
    return (
        TwoPhases(
            first=Supervised(settings=SETTINGS, method=worker.method, train=worker.train),
            second=replace(rewarded, settings=SECOND),
            second_trainable=part,
        ),
        worker,
        replace(job, start=replace(job.start, client_outputs={"weight": torch.tensor(0.25)})),
    )


def test_second_phase_begins_where_the_first_ended():
    procedure, worker, job = phased()
    found = procedure.run(job, worker)
    first = procedure.first.run(job, worker)
    for name, value in found.tensors.items():
        assert torch.equal(value, first.tensors[name]) == (name not in procedure.second_trainable)
    plan = procedure.plan(job.samples, seed=job.seed)
    middle = {name: first.tensors[name] for name in job.start.tensors}
    start = replace(job.start, tensors=middle, trainable=procedure.second_trainable)
    second = [
        procedure.second.run(replace(job, start=start, settings=SECOND, seed=seed), worker)
        for seed in (job.seed, plan_seed(procedure, plan, job))
    ]
    assert not same(second[0].tensors, found.tensors)
    assert same(second[1].tensors, found.tensors)
    assert (found.mean_loss, found.rms_loss) == (first.mean_loss, first.rms_loss)
    assert found.num_steps == 3 + 2
    assert found.num_samples == 12


def plan_seed(procedure, plan, job):
    """Return the seed of the second phase: the one whose plan is that of both."""
    from fl.training.two_phases import _second_seed  # noqa: PLC0415

    seed = _second_seed(job.seed)
    alone = procedure.second.plan(job.samples, seed=seed)
    pairs = zip(alone.steps, plan.then.steps, strict=True)
    assert all(own.tolist() == other.tolist() for own, other in pairs)
    assert seed != job.seed
    return seed


def test_result_is_a_function_of_the_job_alone():
    procedure, worker, job = phased()
    first = procedure.run(job, worker)
    other = procedure.run(replace(job, seed=9), worker)
    assert same(first.tensors, procedure.run(job, worker).tensors)
    assert not same(first.tensors, other.tensors)


def test_work_is_of_both_phases():
    procedure, worker, job = phased()
    cost = CostModel(worker.module, max_tokens=20)
    plan = procedure.plan(job.samples, seed=4)
    found = procedure.work(plan, job.start, cost)
    first = procedure.first.work(replace(plan, then=None), job.start, cost)
    part = replace(job.start, trainable=procedure.second_trainable)
    second = procedure.second.work(plan.then, part, cost)
    assert found == first + second
    assert found.decode
    assert found.flop < (first + procedure.second.work(plan.then, job.start, cost)).flop
    with pytest.raises(ValueError, match=r"^plan: must be of two phases"):
        procedure.work(replace(plan, then=None), job.start, cost)


def test_the_largest_step_is_that_of_the_phase_that_needs_more_memory():
    procedure, worker, job = phased()
    cost = CostModel(worker.module, max_tokens=20)
    shards = GivenShards([Shard(train=job.samples, test=job.samples[:1])])
    found = procedure.largest(shards, job.start, cost)
    part = replace(job.start, trainable=procedure.second_trainable)
    phases = [
        procedure.first.largest(shards, job.start, cost),
        procedure.second.largest(shards, part, cost),
    ]
    needs = [each.step.memory_bytes() for each in phases]
    assert found.step.memory_bytes() == max(needs) > min(needs)
    assert found.writing == phases[1].writing
    assert found.writing.decode


def test_second_phase_trains_what_the_job_trains():
    procedure, worker, job = phased()
    with pytest.raises(ValueError, match=r"^second_trainable: .* got lm_head\.weight$"):
        replace(procedure, second_trainable=("lm_head.weight",)).run(job, worker)
