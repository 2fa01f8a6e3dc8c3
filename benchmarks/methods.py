"""Cost of a client's job for every method: ``python -m benchmarks.methods [--json]``.

Each figure is a ratio to a reference of the same run, on one thread:

* job: host time of :func:`fl.execution.run_job.run_job`, without what a method works out after
its last
  step, against the same steps written as a plain torch loop on the same module with the same
  batches, penalty included. Medians over interleaved repeats;
* finish: host time of that work after training, against the plain loop;
* switch: host time to put one client's tensors into the model and take them out again, against
  copying the whole model;
* tensor train: forward and backward through a tensor-train layer of RoBERTa-base's shape,
  contracted against forming its matrix, 16 texts of 64 tokens.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from fl.execution.recipe import build_worker
from fl.execution.run_job import run_job
from fl.methods import METHODS
from fl.methods.base import Method
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.network import Streams
from fl.peft.tensor_train import TensorTrainLinear
from fl.training.batches import Examples, plan_batches
from fl.training.config import TrainingConfig
from fl.training.job import JobSettings, TrainJob
from fl.training.worker import Worker
from scenarios import load
from scenarios.prepare import backbone_of, texts_of
from scenarios.shares import corpus_of, streams_of

NUM_STEPS = 20
NUM_TEXTS = 160
REPEATS = 9
MAX_TOKENS = 40
"""Leaves room for virtual tokens among the encoder's positions."""
NUM_CLIENTS = 10
FEATURES, BOTTLENECK, TOKENS = 768, 64, 16 * 64
"""RoBERTa-base's width, the bottleneck of the paper's adapters, and the tokens of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCost:
    """Host time of one client's job of a method."""

    job_per_plain_loop: float
    finish_per_plain_loop: float
    switch_per_model_copy: float
    plain_loop_s: float
    num_trained: int


def measure_method(kind: str, *, train: Examples, model: ModelConfig, seed: Streams) -> JobCost:
    """Time a method's job against a plain loop, both on one module."""
    backbone = load_backbone(model, num_classes=int(train.labels.max()) + 1, rng=seed("model_init"))
    training = TrainingConfig(local_steps=NUM_STEPS, batch_size=16, learning_rate=1e-3)
    config = METHODS[kind].config()
    worker = build_worker(
        config,
        backbone=backbone,
        train=train,
        test=train,
        training=training,
        streams=seed,
        num_clients=NUM_CLIENTS,
    )
    job = _job(worker, training)
    plain: list[float] = []
    whole: list[float] = []
    after: list[float] = []
    for repeat in range(REPEATS + 1):
        steps_s = _plain_loop(job, worker)
        own_s = _timed(partial(run_job, job, worker))
        trained = {**job.start.tensors, **worker.read(job.start.trainable)}
        finish_s = _timed(partial(worker.method.finish, trained, job, worker))
        if repeat:  # the first one warms up
            plain.append(steps_s)
            after.append(finish_s)
            whole.append(own_s - finish_s)
    plain_s = statistics.median(plain)
    return JobCost(
        job_per_plain_loop=statistics.median(np.divide(whole, plain).tolist()),
        finish_per_plain_loop=statistics.median(after) / plain_s,
        switch_per_model_copy=_switch_ratio(job, worker),
        plain_loop_s=plain_s,
        num_trained=sum(job.start.tensors[name].numel() for name in job.start.trainable),
    )


def _job(worker: Worker[Method], training: TrainingConfig) -> TrainJob:
    """Make the job of client 0 in round 2: methods with a first stage are past it."""
    method = worker.method
    state = method.initial_state()
    personal = method.initial_personal(0)
    for version in (0, 1):
        download = method.download(state, client_id=0)
        start = method.start(download, personal, version=version)
        personal = method.personal({**start.tensors, **start.client_outputs})
    return TrainJob(
        model_key=worker.model_key,
        client_id=0,
        round=2,
        version=1,
        start=start,
        samples=np.arange(NUM_TEXTS),
        settings=JobSettings(
            local_steps=training.local_steps,
            local_epochs=None,
            batch_size=training.batch_size,
            learning_rate=training.learning_rate,
            weight_decay=0.0,
            max_gradient_norm=None,
        ),
        seed=1,
    )


def _plain_loop(job: TrainJob, worker: Worker[Method]) -> float:
    """Train as a script would that knows one model and one client; give host seconds."""
    settings, module = job.settings, worker.module
    parameters = worker.load(job.start.tensors, trainable=job.start.trainable)
    named = dict(zip(job.start.trainable, parameters, strict=True))
    batches = [
        worker.train.batch(indices)
        for indices in plan_batches(
            job.samples,
            batch_size=settings.batch_size,
            local_steps=settings.local_steps,
            local_epochs=None,
            seed=job.seed,
        )
    ]
    optimiser = torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=0.0, fused=True
    )
    started_s = time.perf_counter()
    for batch in batches:
        loss = module.loss(batch)
        penalty = worker.method.penalty(named, job.start)
        optimiser.zero_grad(set_to_none=True)
        (loss if penalty is None else loss + penalty).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return time.perf_counter() - started_s


def _switch_ratio(job: TrainJob, worker: Worker[Method]) -> float:
    def switch() -> None:
        worker.load(job.start.tensors, trainable=job.start.trainable)
        worker.read(job.start.trainable)

    def copy_all() -> None:
        for parameter in worker.module.parameters():
            parameter.detach().clone()

    return _best(switch) / _best(copy_all)


def measure_tensor_train(*, rank: int) -> dict[str, float]:
    """Time a tensor-train layer contracted and with its matrix formed, forward and backward."""
    generator = torch.Generator().manual_seed(0)
    layer = TensorTrainLinear(in_features=FEATURES, out_features=BOTTLENECK, rank=rank)
    layer.reset(generator)
    hidden = torch.randn((TOKENS, FEATURES), generator=generator, requires_grad=True)

    def contracted() -> None:
        layer(hidden).sum().backward()

    def formed() -> None:
        (hidden @ layer.weight() + layer.bias).sum().backward()  # type: ignore[no-untyped-call]

    contracted_s, formed_s = _best(contracted), _best(formed)
    return {
        "tensor_train_contracted_ms": 1e3 * contracted_s,
        "tensor_train_contracted_per_formed": contracted_s / formed_s,
    }


def _timed(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


def _best(call: Callable[[], object], *, repeats: int = 30) -> float:
    return min(_timed(call) for _ in range(repeats))


def measure(kinds: Sequence[str]) -> dict[str, Any]:
    """Measure every method on the built-in encoder and texts."""
    torch.set_num_threads(1)
    scenario = load("quickstart", [f"model.max_tokens={MAX_TOKENS}"])
    num_classes = len(corpus_of(scenario).class_names)
    backbone = backbone_of(scenario, num_classes=num_classes, seed=0)
    texts = texts_of(scenario, backbone=backbone)
    train = texts.train
    found: dict[str, Any] = {"steps": NUM_STEPS, "methods": {}}
    for kind in kinds:
        cost = measure_method(kind, train=train, model=scenario.model, seed=streams_of(0))
        found["methods"][kind] = {
            "job_per_plain_loop": round(cost.job_per_plain_loop, 3),
            "finish_per_plain_loop": round(cost.finish_per_plain_loop, 3),
            "switch_per_model_copy": round(cost.switch_per_model_copy, 3),
            "plain_loop_s": round(cost.plain_loop_s, 4),
            "num_trained": cost.num_trained,
        }
    for rank in (2, 5, 10):
        for key, value in measure_tensor_train(rank=rank).items():
            found[f"{key}_rank{rank}"] = round(value, 4)
    return found


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description="Cost of a client's job for every method.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("methods", nargs="*", help="kinds; all when none is named")
    options = parser.parse_args()
    found = measure(options.methods or list(METHODS))
    if options.json:
        print(json.dumps(found))
        return
    columns = list(next(iter(found["methods"].values())))
    print(f"{'method':16}" + "".join(f"{name:>24}" for name in columns))
    for kind, row in found["methods"].items():
        print(f"{kind:16}" + "".join(f"{row[name]:>24}" for name in columns))
    for key, value in found.items():
        if key not in ("methods", "steps"):
            print(f"{key:44} {value}")


if __name__ == "__main__":
    main()
