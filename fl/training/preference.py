"""Direct preference optimisation: learning from pairs of a better and a worse answer.

Rafailov et al. 2023, arXiv:2305.18290 [recollected]. With the log-probability of an answer above
that in the reference as its reward, the loss of a pair is ``-log sigmoid(kl_weight (reward of the
better - reward of the worse))``. The reference is the model with the first values of what is
trained.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch.nn import functional

from fl.clients.work import Work
from fl.data.shards import Shards
from fl.models.frozen_blocks import of_the_same_texts
from fl.models.tokens import TokenTable
from fl.training.batches import Examples, plan_batches
from fl.training.completions import Completions, log_probabilities
from fl.training.cost import CostModel
from fl.training.job import JobSettings, Start, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.procedure import Largest, Plan, reference_bytes
from fl.training.reference import language_model_of, reference_in_place
from fl.training.steps import Optimiser, finished_result
from fl.training.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceOptimisation:
    """Steps of an optimiser, fresh in every job, on pairs of answers to the same prompt.

    The loss reported is that of a pair [nat]: log 2 where the model is the reference.
    """

    settings: JobSettings
    kl_weight: float = 0.1
    """Above 0; how dear it is to leave the reference (the ``beta`` of the paper)."""
    method: LocalWork
    train: Examples
    """Table that jobs index, with the worse answer to each prompt."""
    num_steps: int | None = None
    """Steps of a job; those of ``settings``, or its epochs, when ``None``."""

    def plan(self, samples: Int[np.ndarray, " text"], *, seed: int) -> Plan:
        """Return the pairs of each step."""
        settings = self.settings
        batches = plan_batches(
            self.method.trained_texts(samples, batch_size=settings.batch_size),
            batch_size=settings.batch_size,
            local_steps=settings.local_steps if self.num_steps is None else self.num_steps,
            local_epochs=settings.local_epochs if self.num_steps is None else None,
            seed=seed,
        )
        forward = self.method.finish_batches(samples, batch_size=settings.batch_size)
        return Plan(steps=tuple(batches), forward=tuple(forward))

    def work(self, plan: Plan, start: Start, cost: CostModel) -> Work:
        """Return the operations of the steps: both answers, in the model and in the reference."""
        chosen, rejected = self.train.tokens, _rejected_of(self.train)
        flop = 0
        for batch in plan.steps:
            shape = {
                "batch_size": 2 * len(batch),
                "num_tokens": max(int(table.lengths[batch].max()) for table in (chosen, rejected)),
                "num_asked": sum(
                    int(_answer_lengths(table)[batch].sum()) for table in (chosen, rejected)
                ),
            }
            for trainable in ((), start.trainable):
                flop += cost.step_flop(trainable, **shape, tensors=start.tensors)
        flop += cost.job_flop(
            (),
            batches=plan.forward,
            lengths=chosen.lengths,
            answer_lengths=chosen.answer_lengths,
            tensors=start.tensors,
        )
        return Work(flop=flop)

    def largest(self, shards: Shards, start: Start, cost: CostModel) -> Largest:
        """Return the step of the most pairs, of the longest texts; the reference lies beside it."""
        tables = (self.train.tokens, _rejected_of(self.train))

        def longest(lengths: Int[np.ndarray, " text"]) -> int:
            return int(lengths[shards.longest_text(lengths)])

        num_pairs = min(self.settings.batch_size, int(shards.num_train.max()))
        num_tokens = max(longest(table.lengths) for table in tables)
        step = cost.count(
            start.trainable,
            batch_size=2 * num_pairs,
            num_tokens=num_tokens,
            num_asked=num_pairs * sum(longest(_answer_lengths(table)) for table in tables),
            tensors=start.tensors,
        )
        return Largest(
            num_texts=2 * num_pairs,
            num_tokens=num_tokens,
            step=step.under(self.settings.optimiser).beside(frozen_bytes=reference_bytes(start)),
        )

    def run(self, job: TrainJob, worker: Worker[LocalWork]) -> TrainResult:
        """Train a client's tensors on its pairs. The result depends on the job alone.

        Raises
        ------
        ValueError
            If the job was made for another model or has other settings, or texts have no worse
            answer.
        TypeError
            If the worker's model writes no text.
        FloatingPointError
            If the loss is not finite; says which client, round and step.
        """
        worker.check_key(job.model_key)
        if job.settings != self.settings:
            msg = f"settings: job was made for {job.settings}, procedure has {self.settings}"
            raise ValueError(msg)
        module = language_model_of(worker)
        steps = self.plan(job.samples, seed=job.seed).steps
        optimiser = Optimiser.of(job, worker, num_steps=len(steps))
        found = []
        for step, batch in enumerate(steps):
            pairs = self._pairs(batch, device=next(module.parameters()).device)
            with of_the_same_texts(module, job.start.trainable):
                with torch.no_grad(), reference_in_place(worker, job.start.trainable):
                    reference = log_probabilities(module, pairs, temperature=1.0)
                new = log_probabilities(module, pairs, temperature=1.0)
                losses = preference_losses(new, reference, kl_weight=self.kl_weight)
                optimiser.update(losses.mean(), step=step)
            found.append(losses.detach().double())
        all_losses = torch.cat(found)
        return finished_result(
            job,
            worker,
            mean_loss=float(all_losses.mean()),
            rms_loss=math.sqrt(float(all_losses.square().mean())),
            num_steps=len(steps),
        )

    def _pairs(self, batch: Int[np.ndarray, " text"], *, device: torch.device) -> Completions:
        """Return the better answers to some prompts, then the worse ones."""
        texts = [
            table.prompt_and_answer(int(index))
            for table in (self.train.tokens, _rejected_of(self.train))
            for index in batch
        ]
        prompts, answers = zip(*texts, strict=True)
        return Completions.of(
            prompts,
            answers,
            num_tokens=0,
            stop_id=None,
            pad_id=self.train.tokens.pad_token_id,
            device=device,
        )


def preference_losses(
    new: Float[torch.Tensor, "text step"],
    reference: Float[torch.Tensor, "text step"],
    *,
    kl_weight: float,
) -> Float[torch.Tensor, " pair"]:
    """Return the loss of each pair from log-probabilities of tokens, better answers first."""
    better, worse = (new - reference).sum(dim=1).chunk(2)
    return -functional.logsigmoid(kl_weight * (better - worse))


def _rejected_of(train: Examples) -> TokenTable:
    if train.rejected is None:
        msg = "data.rejected: learning from preferences needs the worse answer to each prompt"
        raise ValueError(msg)
    return train.rejected


def _answer_lengths(table: TokenTable) -> Int[np.ndarray, " text"]:
    lengths = table.answer_lengths
    if lengths is None:
        msg = "data: learning from preferences needs prompts with answers, got texts with classes"
        raise ValueError(msg)
    return lengths
