"""SCAFFOLD: control variates by hand, on quadratics, and as gradients of a model."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from fl.execution.run_job import run_job
from fl.methods.base import Contribution
from fl.methods.scaffold.config import ScaffoldConfig
from fl.methods.scaffold.method import GAP, OWN, SERVER, ScaffoldMethod
from fl.payload import Payload
from fl.training.optimiser_settings import Sgd
from fl.training.rate_schedule import LinearRate
from tests.fl.fakes import roberta_base_on_meta
from tests.fl.methods.recorded import recorded
from tests.fl.methods.updates import installed
from tests.fl.training.jobs import SETTINGS, job_of, worker_of

PLAIN = replace(
    SETTINGS, optimiser=Sgd(), weight_decay=0.0, max_gradient_norm=None, learning_rate=0.05
)


def payload_numbers(shape, version):
    d, classes, rank = shape.hidden, shape.num_classes, 8
    numbers = 2 * (4 * shape.layers * d * rank + d * classes + classes)
    return numbers, numbers


def test_numbers_on_roberta_base_are_twice_those_of_lora():
    """294,912 of LoRA and 3,076 of the head for four classes; as many control variates."""
    method, _ = installed(ScaffoldConfig(), module=roberta_base_on_meta(), num_clients=10)
    state = method.initial_state()
    download = method.download(state, client_id=0)
    start = method.start(download, method.initial_personal(0), version=0)
    upload = method.upload({**start.tensors, **start.client_outputs}, version=0)
    wanted = 2 * (294_912 + 3_076)
    assert upload.tensor_bytes == download.tensor_bytes == 4 * wanted


def quadratic_method(**changes):
    initial = {"w": torch.tensor([0.3], dtype=torch.float64)}
    options = {"num_clients": 2, "server_learning_rate": 1.0, **changes}
    return ScaffoldMethod(kind="scaffold", initial=initial, **options)


@dataclass
class Job:
    """What the method reads of a job."""

    start: object
    settings: object
    samples: object


def walked(method, download, personal, *, curvature, minimum, num_steps, rate, is_corrected=True):
    """Steps of plain descent on ``h (w - m)^2 / 2``, with the penalty's gradient if corrected."""
    start = method.start(download, personal, version=0)
    w = start.tensors["w"].clone().requires_grad_()
    for _ in range(num_steps):
        loss = (0.5 * curvature * (w - minimum) ** 2).sum()
        if is_corrected:
            loss = loss + method.penalty({"w": w}, start)
        (gradient,) = torch.autograd.grad(loss, w)
        with torch.no_grad():
            w -= rate * gradient
    settings = replace(PLAIN, local_steps=num_steps, learning_rate=rate)
    trained = {"w": w.detach()}
    return {**trained, **method.finish(trained, Job(start, settings, np.arange(3)), None)}


def rested(*, is_corrected, weights=(1.0, 1.0), **changes):
    """Where rounds of both clients come to rest: curvatures 1 and 4, minima 0 and 1."""
    method = quadratic_method(**changes)
    state = method.initial_state()
    personal = [method.initial_personal(each) for each in (0, 1)]
    for _ in range(600):
        made = []
        for client_id, (curvature, minimum) in enumerate(((1.0, 0.0), (4.0, 1.0))):
            trained = walked(
                method,
                method.download(state, client_id=client_id),
                personal[client_id],
                curvature=curvature,
                minimum=minimum,
                num_steps=10,
                rate=0.05,
                is_corrected=is_corrected,
            )
            personal[client_id] = method.personal(trained)
            made.append(
                Contribution(
                    client_id=client_id,
                    payload=method.upload(trained, version=state.version),
                    weight=weights[client_id],
                    staleness=0,
                )
            )
        state = method.aggregate(state, made)
    return state, personal


def test_it_reaches_the_minimum_of_the_sum_where_averaging_does_not():
    """Ten steps a round. The minimum of the sum is 4 / 5.

    Without corrections a client goes ``s = 1 - (1 - 0.05 h)^10`` of the way to its minimum, and
    rounds rest where the ways cancel: ``s_2 / (s_1 + s_2)`` = 0.690.
    """
    ways = [1 - (1 - 0.05 * curvature) ** 10 for curvature in (1.0, 4.0)]
    plain, _ = rested(is_corrected=False)
    assert float(plain.tensors["w"]) == pytest.approx(ways[1] / sum(ways), abs=1e-9)
    assert abs(ways[1] / sum(ways) - 0.8) > 0.1
    state, personal = rested(is_corrected=True)
    assert float(state.tensors["w"]) == pytest.approx(0.8, abs=1e-9)
    assert float(state.tensors[SERVER + "w"]) == pytest.approx(0.0, abs=1e-9)
    own = [float(each[OWN + "w"]) for each in personal]
    assert own == pytest.approx([1.0 * 0.8, 4.0 * (0.8 - 1.0)], abs=1e-9)


def test_weights_count_for_tensors_and_control_variates_alike():
    """Weights 3 and 1: the minimum of ``3 f_1 + f_2`` is 4 / 7."""
    state, _ = rested(is_corrected=True, weights=(3.0, 1.0))
    assert float(state.tensors["w"]) == pytest.approx(4 / 7, abs=1e-9)


def test_a_smaller_step_of_the_server_reaches_the_same():
    state, _ = rested(is_corrected=True, server_learning_rate=0.5)
    assert float(state.tensors["w"]) == pytest.approx(0.8, abs=1e-6)


def test_the_server_s_control_variate_moves_by_the_part_that_was_heard():
    method = quadratic_method(num_clients=10, server_learning_rate=0.5)
    state = method.initial_state()
    made = [
        Contribution(
            client_id=client_id,
            payload=Payload(
                {
                    "w": torch.tensor([value], dtype=torch.float64),
                    GAP + "w": torch.tensor([change], dtype=torch.float64),
                }
            ),
            weight=weight,
            staleness=0,
        )
        for client_id, value, change, weight in ((0, 1.3, 2.0, 3.0), (4, 0.3, -2.0, 1.0))
    ]
    after = method.aggregate(state, made)
    assert float(after.tensors["w"]) == pytest.approx(0.3 + 0.5 * 0.75)
    assert float(after.tensors[SERVER + "w"]) == pytest.approx(2 / 10 * (0.75 * 2 - 0.25 * 2))
    assert after.version == 1


def gradients(worker, job):
    """Of the task's loss at the start of a job, on its first batch, by name."""
    named = dict(zip(job.start.trainable, worker.load(job.start.tensors,
                 trainable=job.start.trainable), strict=True))  # fmt: skip
    first = np.random.default_rng(job.seed).permutation(job.samples)[: PLAIN.batch_size]
    worker.module.loss(worker.batch("train", first)).backward()
    return {name: parameter.grad.clone() for name, parameter in named.items()}


@pytest.mark.parametrize("is_first", [True, False])
def test_after_one_step_the_control_variate_is_the_gradient(is_first):
    """Whatever the correction was: it is taken off again."""
    worker = worker_of("scaffold")
    job = job_of(worker, settings=replace(PLAIN, local_steps=1))
    generator = torch.Generator().manual_seed(2)
    outputs = {
        name: value if is_first else 0.1 * torch.randn(value.shape, generator=generator)
        for name, value in job.start.client_outputs.items()
    }
    job = replace(job, start=replace(job.start, client_outputs=outputs))
    result = run_job(job, worker)
    for name, gradient in gradients(worker, job).items():
        correction = outputs[GAP + name]
        wanted = job.start.tensors[name] - 0.05 * (gradient + correction)
        torch.testing.assert_close(result.tensors[name], wanted, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(result.tensors[OWN + name], gradient, rtol=1e-3, atol=1e-5)
        change = result.tensors[OWN + name] - outputs[OWN + name]
        torch.testing.assert_close(result.tensors[GAP + name], change, rtol=1e-4, atol=1e-6)


def test_a_schedule_within_the_job_and_epochs_count():
    """Constant gradients 1: whatever the rates of the steps were, the mean gradient is 1."""
    method = quadratic_method()
    start = method.start(
        method.download(method.initial_state(), client_id=0), method.initial_personal(0), version=0
    )
    settings = replace(
        PLAIN,
        local_steps=None,
        local_epochs=2,
        batch_size=4,
        learning_rate=0.1,
        step_schedule=LinearRate(last_part=0.5),
    )
    # Ten texts in batches of four, twice: six steps, of 1, 0.9, ... 0.5 times the rate.
    trained = {"w": start.tensors["w"] - 0.1 * 4.5}
    found = method.finish(trained, Job(start, settings, np.arange(10)), None)
    assert float(found[OWN + "w"]) == pytest.approx(1.0)


def test_without_a_step_size_control_variates_stay():
    method = quadratic_method()
    start = method.start(
        method.download(method.initial_state(), client_id=0), method.initial_personal(0), version=0
    )
    found = method.finish(start.tensors, Job(start, replace(PLAIN, learning_rate=0.0), [1]), None)
    assert {name: float(value) for name, value in found.items()} == {OWN + "w": 0, GAP + "w": 0}


def test_in_a_federation_the_server_s_variate_is_the_mean_of_the_clients():
    played, _ = recorded("scaffold", num_rounds=2)
    weights = np.array([len(played.shards[each].train) for each in played.client_ids], float)
    for name in played.method.initial:
        own = [played.personal.of(each)[OWN + name] for each in played.client_ids]
        mean = sum(float(w) * value for w, value in zip(weights / weights.sum(), own, strict=True))
        torch.testing.assert_close(played.state.tensors[SERVER + name], mean, rtol=1e-3, atol=1e-4)
