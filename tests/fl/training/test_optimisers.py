"""Optimisers of jobs, against their equations and against plain torch."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fl.execution.run_job import run_job
from fl.methods.fedit.config import FeditConfig
from fl.training.config import TrainingConfig, find_problems
from fl.training.job import JobSettings
from fl.training.optimiser_settings import AdamW, Sgd
from fl.training.optimisers import new_optimiser, set_rate, undecayed_names
from fl.training.rate_schedule import CosineRate, LinearRate
from tests.fl.fakes import federation
from tests.fl.methods.products import play

GRADIENTS = (np.array([1.0, -2.0]), np.array([0.5, 1.0]), np.array([-1.0, 0.25]))
START = np.array([1.0, 3.0])


def settings(**changes):
    config = TrainingConfig(local_steps=3, **changes)
    return JobSettings.of(config, learning_rate=None)


def walk(of):
    """Values after each step on the gradients."""
    parameter = torch.nn.Parameter(torch.tensor(START))
    optimiser = new_optimiser(of, {"w": parameter}, undecayed=undecayed_names(of, {}))
    seen = []
    for step, gradient in enumerate(GRADIENTS):
        parameter.grad = torch.tensor(gradient)
        set_rate(optimiser, of, step=step, num_steps=len(GRADIENTS))
        optimiser.step()
        seen.append(parameter.detach().numpy().copy())
    return np.array(seen)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_over_three_steps(nesterov):
    sgd = Sgd(momentum=0.8, nesterov=nesterov)
    seen = walk(settings(optimiser=sgd, learning_rate=0.1))
    value, velocity = START, np.zeros(2)
    for found, gradient in zip(seen, GRADIENTS, strict=True):
        velocity = 0.8 * velocity + gradient
        value = value - 0.1 * (gradient + 0.8 * velocity if nesterov else velocity)
        np.testing.assert_allclose(found, value, rtol=1e-12)


def test_plain_steps_decay_towards_zero():
    seen = walk(settings(optimiser=Sgd(), learning_rate=0.1, weight_decay=0.5))
    value = START
    for found, gradient in zip(seen, GRADIENTS, strict=True):
        value = value - 0.1 * (gradient + 0.5 * value)
        np.testing.assert_allclose(found, value, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "factors"),
    [
        ({"step_schedule": LinearRate(last_part=0.0)}, (1.0, 0.5, 0.0)),
        ({"step_schedule": CosineRate(last_part=0.2)}, (1.0, 0.6, 0.2)),
        ({"warmup_steps": 1}, (0.5, 1.0, 1.0)),
        ({"warmup_steps": 2, "step_schedule": LinearRate(last_part=0.0)}, (1 / 3, 1 / 3, 0.0)),
    ],
)
def test_steps_of_a_job_follow_its_schedule(changes, factors):
    seen = walk(settings(optimiser=Sgd(), learning_rate=0.1, **changes))
    value = START
    for found, gradient, factor in zip(seen, GRADIENTS, factors, strict=True):
        value = value - 0.1 * factor * gradient
        np.testing.assert_allclose(found, value, rtol=1e-12)


def test_norms_and_biases_do_not_decay_where_so_asked():
    start = {"a.lora_A": torch.ones((2, 3)), "head.bias": torch.ones(2)}
    for decays, expected in ((True, 0.95), (False, 1.0)):
        of = settings(
            optimiser=Sgd(), learning_rate=0.1, weight_decay=0.5, decay_norms_and_biases=decays
        )
        named = {name: torch.nn.Parameter(value.clone()) for name, value in start.items()}
        optimiser = new_optimiser(of, named, undecayed=undecayed_names(of, start))
        for each in named.values():
            each.grad = torch.zeros_like(each)
        optimiser.step()
        assert named["head.bias"].detach().numpy() == pytest.approx(expected)
        assert named["a.lora_A"].detach().numpy() == pytest.approx(0.95)


def test_memory_counts_what_the_optimiser_keeps():
    found = {}
    for optimiser in (AdamW(), Sgd(momentum=0.9), Sgd()):
        training = TrainingConfig(local_steps=2, batch_size=8, optimiser=optimiser)
        played = federation(FeditConfig(), training=training)
        start = played.method.start(
            played.method.download(played.state, client_id=0),
            played.method.initial_personal(0),
            version=0,
        )
        step = played.procedure.largest(played.shards, start, played.cost).step
        found[optimiser.num_copies] = step.memory_bytes()
    trained = sum(each.nbytes for each in played.method.initial.values())
    assert found[2] - found[1] == found[1] - found[0] == trained


def passed(micro_batch_size, *, task="classification"):
    training = TrainingConfig(
        local_steps=3, batch_size=8, learning_rate=1e-2, micro_batch_size=micro_batch_size
    )
    played = federation(FeditConfig(), training=training, num_rounds=1, task=task, cohort=2)
    ((job, _), *_) = play(played)
    return played, job, run_job(job, played.worker)


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_gradients_of_small_passes_add_up_to_those_of_the_batch(task):
    _, _, whole = passed(None, task=task)
    played, _, parts = passed(3, task=task)
    assert parts.num_steps == whole.num_steps == 3
    assert parts.mean_loss == pytest.approx(whole.mean_loss, rel=1e-5)
    assert parts.rms_loss == pytest.approx(whole.rms_loss, rel=1e-5)
    for name, value in whole.tensors.items():
        torch.testing.assert_close(parts.tensors[name], value, rtol=2e-3, atol=2e-4)
        assert not torch.equal(value, played.method.initial[name])


def test_small_passes_take_less_memory_and_the_operations_of_their_shapes():
    whole, parts = passed(None), passed(2)
    sizes = []
    for played, job, _ in (whole, parts):
        largest = played.procedure.largest(played.shards, job.start, played.cost)
        sizes.append((largest.num_texts, largest.step.activation_bytes))
    assert (sizes[0][0], sizes[1][0]) == (8, 2)
    assert sizes[1][1] < sizes[0][1] / 3
    played, job, _ = parts
    plan = played.procedure.plan(job.samples, seed=job.seed)
    lengths = played.worker.train.tokens.lengths
    flop = sum(
        played.cost.step_flop(
            job.start.trainable,
            batch_size=len(batch[at : at + 2]),
            num_tokens=int(lengths[batch[at : at + 2]].max()),
            tensors=job.start.tensors,
        )
        for batch in plan.steps
        for at in range(0, len(batch), 2)
    )
    assert played.procedure.work(plan, job.start, played.cost).total_flop == flop
    (many,) = played.procedure.works([job.samples], job.start, played.cost, seed=job.seed)
    assert many.total_flop == flop


def test_settings_enter_the_digest_of_a_job():
    _, job, _ = passed(None)
    digests = {job.digest()}
    for changes in (
        {"optimiser": Sgd()},
        {"optimiser": Sgd(momentum=0.5)},
        {"step_schedule": LinearRate()},
        {"warmup_steps": 1},
        {"decays_norms_and_biases": False},
        {"micro_batch_size": 4},
    ):
        digests.add(replace(job, settings=replace(job.settings, **changes)).digest())
    assert len(digests) == 7


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"optimiser": Sgd(nesterov=True)}, "nesterov: has no effect without momentum"),
        ({"decay_norms_and_biases": False}, "has no effect with weight_decay 0"),
        ({"warmup_steps": 4}, "must be < local_steps = 4, got 4"),
        ({"micro_batch_size": 16}, "must be < batch_size = 16"),
    ],
)
def test_settings_without_effect_are_refused(changes, rule):
    config = TrainingConfig(local_steps=4, **changes)
    (problem,) = find_problems(config)
    assert rule.split(": ")[-1] in problem.message
    one = replace(TrainingConfig(local_steps=1), step_schedule=LinearRate())
    assert [each.path[-1] for each in find_problems(one)] == ["step_schedule"]
