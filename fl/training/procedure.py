"""What a training job does: its plan, its cost, its run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from fl.clients.work import Work
from fl.data.shards import Shards
from fl.training.batches import Examples
from fl.training.cost import CostModel
from fl.training.job import Start, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.step_count import StepCost
from fl.training.worker import Worker

Batches = tuple[Int[np.ndarray, " text"], ...]
"""Texts batch by batch: indices into the training table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which texts a job passes through the model, in order: known before the job runs."""

    steps: Batches
    """Of each optimiser step: forward and backward."""
    forward: Batches = ()
    """Passed forward only, after the last step."""
    then: "Plan | None" = None
    """What a second phase does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest:
    """The most that any job of a run asks of a device at once."""

    num_texts: int
    """Texts of its largest step."""
    num_tokens: int
    """Tokens of each, padding included."""
    step: StepCost
    """That step, with everything that is in memory beside it."""
    writing: Work = field(default_factory=Work)
    """The largest batch that it writes, for a table; nothing where it writes none."""


def longest_pass(train: Examples, shards: Shards, *, num_texts: int) -> tuple[int, int | None]:
    """Return the tokens a text, and the scored tokens in all, of the longest pass of any client.

    Scored tokens are ``None`` where texts are classified.
    """
    tokens = train.tokens
    num_tokens = int(tokens.lengths[shards.longest_text(tokens.lengths)])
    answers = tokens.answer_lengths
    if answers is None:
        return num_tokens, None
    return num_tokens, num_texts * int(answers[shards.longest_text(answers)])


def reference_bytes(start: Start) -> int:
    """Return the bytes of a reference: the first values of what a job trains."""
    return sum(start.tensors[name].nbytes for name in start.trainable)


class Procedure(Protocol):
    """A way to turn a client's texts into an update.

    The cost of a job is a function of its plan, never of its result: the device's seconds must be
    known before the job has run, and jobs that nobody needs never run.
    """

    def plan(self, samples: Int[np.ndarray, " text"], *, seed: int) -> Plan:
        """Return what a job on these texts does; a pure function of its arguments.

        Parameters
        ----------
        samples
            Texts of the client: indices into the training table, at least one.
        seed
            Seed of the job.
        """

    def work(self, plan: Plan, start: Start, cost: CostModel) -> Work:
        """Return what a plan computes; of ``start`` only shapes matter."""

    def largest(self, shards: Shards, start: Start, cost: CostModel) -> Largest:
        """Return what the largest job of any client asks for; of ``start`` only shapes matter."""

    def run(self, job: TrainJob, worker: Worker[LocalWork]) -> TrainResult:
        """Run a job. The result depends on the job alone, not on the jobs before it."""


@runtime_checkable
class WorksOutMany(Protocol):
    """A procedure that works out many jobs faster than one by one."""

    def works(
        self,
        samples: Sequence[Int[np.ndarray, " text"]],
        start: Start,
        cost: CostModel,
        *,
        seed: int,
    ) -> Sequence[Work]:
        """Return what :func:`works_of` does."""


def works_of(
    procedure: Procedure,
    samples: Sequence[Int[np.ndarray, " text"]],
    start: Start,
    cost: CostModel,
    *,
    seed: int,
) -> Sequence[Work]:
    """Return what one job of each of many clients computes, all under one seed.

    Parameters
    ----------
    procedure
        What jobs do.
    samples
        Texts of each client.
    start
        Where all the jobs begin.
    cost
        Counts steps.
    seed
        Of all the jobs.
    """
    if isinstance(procedure, WorksOutMany):
        return procedure.works(samples, start, cost, seed=seed)
    return [procedure.work(procedure.plan(each, seed=seed), start, cost) for each in samples]
