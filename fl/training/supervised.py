"""Local training: a job in, an update out, and nothing else changes."""

import math

import torch

from fl.payload import Tensors
from fl.training.batches import plan_batches
from fl.training.job import TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.worker import Worker


def run_job(job: TrainJob, worker: Worker[LocalWork]) -> TrainResult:
    """Train a client's tensors on its shard: AdamW, fresh, on the loss of the model's task.

    A method may add a penalty to the loss of each step, and work something out after the last one.
    The result depends on the job alone (and on torch's thread count, part of its ``model_key``):
    not on the jobs before it, nor on the worker's state.

    Raises
    ------
    ValueError
        If the job was made for another model, or the method's work after training does not have the
        names and shapes that it announced.
    FloatingPointError
        If the loss is not finite; says which client, round and step.
    """
    if job.model_key != worker.model_key:
        msg = f"model_key: job was made for {job.model_key}, worker holds {worker.model_key}"
        raise ValueError(msg)
    settings = job.settings
    method, trainable = worker.method, job.start.trainable
    parameters = worker.load(job.start.tensors, trainable=trainable)
    named = dict(zip(trainable, parameters, strict=True))
    batches = plan_batches(
        job.samples,
        batch_size=settings.batch_size,
        local_steps=settings.local_steps,
        local_epochs=settings.local_epochs,
        seed=job.seed,
    )
    optimiser = torch.optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,  # one kernel for all tensors: a small model's step is mostly overhead
    )
    loss_sum, num_texts = 0.0, 0
    for step, indices in enumerate(batches):
        loss = worker.module.loss(worker.train.batch(indices))
        penalty = method.penalty(named, job.start)
        optimiser.zero_grad(set_to_none=True)
        total = loss if penalty is None else loss + penalty
        total.backward()  # type: ignore[no-untyped-call]
        if settings.max_gradient_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, settings.max_gradient_norm)
        optimiser.step()
        value = loss.item()
        if not math.isfinite(value):
            msg = (
                f"training diverged: loss {value} at step {step} of client {job.client_id} in "
                f"round {job.round}; a smaller training.learning_rate may help"
            )
            raise FloatingPointError(msg)
        loss_sum += value * len(indices)
        num_texts += len(indices)
    for parameter in parameters:
        parameter.requires_grad = False
        parameter.grad = None
    tensors = {**job.start.tensors, **worker.read(trainable)}
    client_outputs = method.finish(tensors, job, worker)
    _check_announced(client_outputs, job)
    return TrainResult(
        tensors={**tensors, **client_outputs},
        mean_loss=loss_sum / num_texts,
        num_samples=len(job.samples),
        num_steps=len(batches),
    )


def _check_announced(client_outputs: Tensors, job: TrainJob) -> None:
    """Compare what a method worked out with what it announced, on which the bytes sent rest."""
    found = {name: tuple(tensor.shape) for name, tensor in client_outputs.items()}
    announced = {name: tuple(tensor.shape) for name, tensor in job.start.client_outputs.items()}
    if found != announced:
        msg = f"finish: must give tensors of the names and shapes {announced}, got {found}"
        raise ValueError(msg)
