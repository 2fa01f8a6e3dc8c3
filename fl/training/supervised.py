"""Supervised training: optimiser steps on the loss of the model's task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from fl.clients.work import Work
from fl.data.shards import Shards
from fl.training.batches import Examples, plan_batches
from fl.training.cost import CostModel
from fl.training.job import JobSettings, Start, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.many_jobs import steps_flop
from fl.training.procedure import Largest, Plan
from fl.training.steps import Optimiser, finished_result
from fl.training.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """AdamW, fresh in every job, then the work that the method does after the last step."""

    settings: JobSettings
    method: LocalWork
    """It decides what is passed forward after the last step."""
    train: Examples
    """Table that jobs index; lengths of its texts decide the cost."""

    def plan(self, samples: Int[np.ndarray, " text"], *, seed: int) -> Plan:
        """Return the batches of a job; see :meth:`fl.training.procedure.Procedure.plan`."""
        settings = self.settings
        return Plan(
            steps=self._steps(samples, seed=seed),
            forward=tuple(self.method.finish_batches(samples, batch_size=settings.batch_size)),
        )

    def work(self, plan: Plan, start: Start, cost: CostModel) -> Work:
        """Return the operations of the steps and of what is passed forward after them."""
        tokens = self.train.tokens
        flop = sum(
            cost.job_flop(
                trainable,
                batches=batches,
                lengths=tokens.lengths,
                answer_lengths=tokens.answer_lengths,
                tensors=start.tensors,
            )
            for trainable, batches in ((start.trainable, plan.steps), ((), plan.forward))
        )
        return Work(flop=flop)

    def works(
        self,
        samples: Sequence[Int[np.ndarray, " text"]],
        start: Start,
        cost: CostModel,
        *,
        seed: int,
    ) -> list[Work]:
        """Return what jobs of many clients compute; see :func:`fl.training.procedure.works_of`."""
        tokens = self.train.tokens
        of_steps = steps_flop(
            samples,
            layout=lambda texts: self._steps(texts, seed=seed),
            lengths=tokens.lengths,
            answer_lengths=tokens.answer_lengths,
            start=start,
            cost=cost,
        )
        size = self.settings.batch_size
        after = [Plan(steps=(), forward=tuple(self.method.finish_batches(each, batch_size=size)))
                 for each in samples]  # fmt: skip
        return [
            Work(flop=flop) + self.work(plan, start, cost) if plan.forward else Work(flop=flop)
            for flop, plan in zip(of_steps, after, strict=True)
        ]

    def largest(self, shards: Shards, start: Start, cost: CostModel) -> Largest:
        """Return the step of the most texts, of the longest, with the longest answers."""
        tokens = self.train.tokens
        answers = tokens.answer_lengths
        size = self.settings.batch_size
        most = np.arange(int(shards.num_train.max()))
        num_texts = min(size, len(self.method.trained_texts(most, batch_size=size)))
        num_tokens = int(tokens.lengths[shards.longest_text(tokens.lengths)])
        num_asked = None
        if answers is not None:
            num_asked = num_texts * int(answers[shards.longest_text(answers)])
        step = cost.count(
            start.trainable,
            batch_size=num_texts,
            num_tokens=num_tokens,
            num_asked=num_asked,
            tensors=start.tensors,
        )
        return Largest(num_texts=num_texts, num_tokens=num_tokens, step=step)

    def run(self, job: TrainJob, worker: Worker[LocalWork]) -> TrainResult:
        """Train a client's tensors on its texts.

        The method may add a penalty to the loss of each step, and compute something after the last
        one. The result depends on the job alone (and on torch's thread count, part of its
        ``model_key``): not on the jobs before it, nor on the worker's state.

        Raises
        ------
        ValueError
            If the job was made for another model or has other settings, or the method's work after
            training does not have the names and shapes that it announced.
        FloatingPointError
            If the loss is not finite; says which client, round and step.
        """
        worker.check_key(job.model_key)
        if job.settings != self.settings:
            msg = f"settings: job was made for {job.settings}, procedure has {self.settings}"
            raise ValueError(msg)
        optimiser = Optimiser.of(job, worker)
        steps = self._steps(job.samples, seed=job.seed)
        loss_sum, square_sum, num_texts = 0.0, 0.0, 0
        for step, indices in enumerate(steps):
            loss, of_texts = worker.module.losses(worker.batch("train", indices))
            optimiser.update(loss, step=step)
            loss_sum += loss.item() * len(indices)
            square_sum += float(of_texts.double().square().sum())
            num_texts += len(indices)
        return finished_result(
            job,
            worker,
            mean_loss=loss_sum / num_texts,
            rms_loss=math.sqrt(square_sum / num_texts),
            num_steps=len(steps),
        )

    def _steps(
        self, samples: Int[np.ndarray, " text"], *, seed: int
    ) -> tuple[Int[np.ndarray, " text"], ...]:
        settings = self.settings
        return tuple(
            plan_batches(
                self.method.trained_texts(samples, batch_size=settings.batch_size),
                batch_size=settings.batch_size,
                local_steps=settings.local_steps,
                local_epochs=settings.local_epochs,
                seed=seed,
            )
        )
