"""Supervised training: optimiser steps on the loss of the model's task."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int

from fl.clients.work import Work
from fl.data.shards import Shards
from fl.models.client_losses import num_scored
from fl.training.batches import Examples, plan_batches
from fl.training.cost import CostModel
from fl.training.dropout import dropout_on
from fl.training.job import JobSettings, Start, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.many_jobs import steps_flop
from fl.training.procedure import Largest, Plan, longest_pass
from fl.training.step_losses import StepLosses
from fl.training.steps import Optimiser, finished_result
from fl.training.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """Steps of an optimiser that is fresh in every job, then the method's work after the last."""

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
        passes = [piece for batch in plan.steps for piece in self._pieces(batch)]
        flop = sum(
            cost.job_flop(
                trainable,
                batches=batches,
                lengths=tokens.lengths,
                answer_lengths=tokens.answer_lengths,
                tensors=start.tensors,
            )
            for trainable, batches in ((start.trainable, passes), ((), plan.forward))
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
            layout=lambda texts: [
                piece for batch in self._steps(texts, seed=seed) for piece in self._pieces(batch)
            ],
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
        """Return the pass of the most texts, of the longest, with the longest answers."""
        size = self.settings.batch_size
        most = np.arange(int(shards.num_train.max()))
        at_once = self.settings.micro_batch_size or size
        num_texts = min(at_once, len(self.method.trained_texts(most, batch_size=size)))
        num_tokens, num_asked = longest_pass(self.train, shards, num_texts=num_texts)
        step = cost.count(
            start.trainable,
            batch_size=num_texts,
            num_tokens=num_tokens,
            num_asked=num_asked,
            tensors=start.tensors,
        )
        step = step.under(self.settings.optimiser)
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
        steps = self._steps(job.samples, seed=job.seed)
        optimiser = Optimiser.of(job, worker, num_steps=len(steps))
        losses = StepLosses(job)
        with self._dropout(worker):
            for step, indices in enumerate(steps):
                of_texts: list[torch.Tensor] = []
                parts = self._parts(indices, worker, of_texts=of_texts)
                losses.add(optimiser.update_on(parts, step=step), of_texts)
        losses.settle()
        return finished_result(
            job,
            worker,
            mean_loss=losses.mean,
            rms_loss=losses.rms,
            num_steps=len(steps),
        )

    def _dropout(self, worker: Worker[LocalWork]) -> AbstractContextManager[None]:
        settings = self.settings
        if not settings.drops:
            return nullcontext()
        return dropout_on(worker.module, backbone=settings.backbone_dropout)

    def _pieces(self, batch: Int[np.ndarray, " text"]) -> Sequence[Int[np.ndarray, " text"]]:
        """Part the texts of a step into those that are passed at once."""
        size = self.settings.micro_batch_size
        if size is None:
            return [batch]
        return [batch[at : at + size] for at in range(0, len(batch), size)]

    def _parts(
        self,
        indices: Int[np.ndarray, " text"],
        worker: Worker[LocalWork],
        *,
        of_texts: list[torch.Tensor],
    ) -> Iterator[torch.Tensor]:
        """Give the parts of a step's loss, one a pass; note the losses of texts.

        A loss is a mean over texts, or over the tokens of answers: each part counts by its own.
        """
        # What is dropped below the head is another part in every pass: no features are kept.
        is_kept = not self.settings.backbone_dropout
        pieces = [
            worker.batch("train", piece) if is_kept else worker.train.batch(piece)
            for piece in self._pieces(indices)
        ]
        if len(pieces) == 1:
            loss, each = worker.module.losses(pieces[0])
            of_texts.append(each)
            yield loss
            return
        counts = [
            int(num_scored(worker.module, piece, np.ones((1, len(piece.labels)), dtype=bool))[0])
            for piece in pieces
        ]
        total = sum(counts)
        for piece, count in zip(pieces, counts, strict=True):
            loss, each = worker.module.losses(piece)
            of_texts.append(each)
            yield loss * (count / total)

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
