"""Training by forward passes alone: how the loss changes along random directions.

A step draws a direction ``z`` and measures the loss on both sides of the weights. The slope between
them, ``(L(w + eps z) - L(w - eps z)) / (2 eps)``, is the derivative along ``z`` up to ``eps^2``,
and times ``z`` its mean is the gradient (Spall 1992, doi:10.1109/9.119632 [recollected]). The
direction is one of a fixed number, so that a job is told by indices and step lengths: Qin et al.,
arXiv:2312.06353.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int

from fl.clients.work import Work
from fl.data.shards import Shards
from fl.payload import Tensors
from fl.training.batches import Examples, plan_batches
from fl.training.cost import CostModel
from fl.training.directions import Directions
from fl.training.job import JobSettings, Start, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.many_jobs import steps_flop
from fl.training.objective import ZerothOrder
from fl.training.procedure import Largest, Plan, longest_pass
from fl.training.step_losses import diverged
from fl.training.steps import check_announced
from fl.training.worker import Worker

SEEDS, STEPS = "seeds", "steps"
"""Names, among a job's outputs, of the index of each step's direction, and of its length."""
PROBABILITIES = "probabilities"
"""Name, among a job's outputs, of how likely each direction is drawn; where there is none, all are
alike."""
_ADDRESS = 2
"""Of the draw of directions, below the seed of the job."""
PASSES = 2
"""Forward passes a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZerothOrderSteps:
    """Steps along random directions; plain descent, with neither decay nor clipping.

    The loss reported is the mean of both sides [nat].
    """

    settings: JobSettings
    objective: ZerothOrder
    train: Examples
    """Table that jobs index."""

    def plan(self, samples: Int[np.ndarray, " text"], *, seed: int) -> Plan:
        """Return the texts of each step; both its passes are on them."""
        return Plan(steps=tuple(self._layout(samples, seed=seed)))

    def work(self, plan: Plan, start: Start, cost: CostModel) -> Work:
        """Return the operations of two forward passes a step, and of rebuilding the weights."""
        tokens = self.train.tokens
        flop = cost.job_flop(
            (),
            batches=plan.steps,
            lengths=tokens.lengths,
            answer_lengths=tokens.answer_lengths,
            tensors=start.tensors,
        )
        return Work(flop=PASSES * flop + self._rebuild_flop(start))

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
        of_passes = steps_flop(
            samples,
            layout=lambda texts: self._layout(texts, seed=seed),
            lengths=tokens.lengths,
            answer_lengths=tokens.answer_lengths,
            start=replace(start, trainable=()),
            cost=cost,
        )
        rebuild = self._rebuild_flop(start)
        return [Work(flop=PASSES * flop + rebuild) for flop in of_passes]

    def largest(self, shards: Shards, start: Start, cost: CostModel) -> Largest:
        """Return the step of the most texts, of the longest: no gradient and no moment."""
        num_texts = min(self.settings.batch_size, int(shards.num_train.max()))
        num_tokens, num_asked = longest_pass(self.train, shards, num_texts=num_texts)
        one = cost.count(
            (),
            batch_size=num_texts,
            num_tokens=num_tokens,
            num_asked=num_asked,
            tensors=start.tensors,
        )
        moved_bytes = sum(start.tensors[name].nbytes for name in start.trainable)
        step = replace(
            one,
            flop=PASSES * one.flop,
            frozen_bytes=one.frozen_bytes - moved_bytes,
            trained_bytes=moved_bytes,
        )
        return Largest(num_texts=num_texts, num_tokens=num_tokens, step=step)

    def run(self, job: TrainJob, worker: Worker[LocalWork]) -> TrainResult:
        """Walk from a client's tensors along directions. The result depends on the job alone.

        A device would shift its weights there and back. Here they are kept beside those of a pass,
        which differs from that by rounding.

        Raises
        ------
        ValueError
            If the job was made for another model or has other settings, or announced other steps.
        FloatingPointError
            If a loss is not finite; says which client, round and step.
        """
        worker.check_key(job.model_key)
        if job.settings != self.settings:
            msg = f"settings: job was made for {job.settings}, procedure has {self.settings}"
            raise ValueError(msg)
        names = job.start.trainable
        worker.load(job.start.tensors)
        weights = {name: job.start.tensors[name].detach().clone() for name in names}
        directions = Directions(self.objective.seed, names)
        batches = self._layout(job.samples, seed=job.seed)
        seeds = self._draw(job)
        lengths, sides = [], []
        for step, (indices, seed) in enumerate(zip(batches, seeds.tolist(), strict=True)):
            batch = worker.batch("train", indices)
            direction = dict(directions.draw(seed, weights))
            losses = []
            for side in (self.objective.epsilon, -self.objective.epsilon):
                for name in names:
                    here = torch.add(weights[name], direction[name], alpha=side)
                    worker.parameters[name].data = here.to(worker.parameters[name].device)
                with torch.no_grad():
                    loss, of_texts = worker.module.losses(batch)
                losses.append(float(loss))
                sides.append((len(indices), losses[-1], float(of_texts.double().square().sum())))
                if not math.isfinite(losses[-1]):
                    raise diverged(job, losses[-1], step=step)
            slope = (losses[0] - losses[1]) / (2 * self.objective.epsilon)
            # As it will be sent, so that the server walks the same way.
            length = float(np.float32(self.settings.learning_rate * slope))
            for name in names:
                weights[name].add_(direction[name], alpha=-length)
            lengths.append(length)
        num_texts = sum(count for count, _, _ in sides)
        return TrainResult(
            tensors={**job.start.tensors, **weights, **self._outputs(job, seeds, lengths)},
            mean_loss=sum(count * loss for count, loss, _ in sides) / num_texts,
            rms_loss=math.sqrt(sum(square for _, _, square in sides) / num_texts),
            num_samples=len(job.samples),
            num_steps=len(lengths),
        )

    def _layout(
        self, samples: Int[np.ndarray, " text"], *, seed: int
    ) -> list[Int[np.ndarray, " text"]]:
        return plan_batches(
            samples,
            batch_size=self.settings.batch_size,
            local_steps=self.objective.num_steps,
            local_epochs=None,
            seed=seed,
        )

    def _draw(self, job: TrainJob) -> Int[np.ndarray, " step"]:
        """Draw the direction of each step of a job, with replacement."""
        rng = np.random.default_rng(np.random.SeedSequence(job.seed, spawn_key=(_ADDRESS,)))
        likely = job.start.client_outputs.get(PROBABILITIES)
        weights = None
        if likely is not None:
            weights = likely.double().numpy()
            weights = weights / weights.sum()
        return rng.choice(self.objective.num_seeds, size=self.objective.num_steps, p=weights)

    @staticmethod
    def _outputs(
        job: TrainJob, seeds: Int[np.ndarray, " step"], lengths: Sequence[float]
    ) -> Tensors:
        """Return what the job found, in the types that it announced."""
        announced = job.start.client_outputs
        found = {
            **announced,
            SEEDS: torch.as_tensor(seeds).to(announced[SEEDS].dtype),
            STEPS: torch.tensor(lengths, dtype=announced[STEPS].dtype),
        }
        check_announced(found, job)
        return found

    def _rebuild_flop(self, start: Start) -> int:
        """Return the multiply-adds of all directions on all weights that are moved."""
        num_moved = sum(start.tensors[name].numel() for name in start.trainable)
        return 2 * self.objective.num_seeds * num_moved
