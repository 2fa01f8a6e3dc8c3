"""Two procedures in one job: the second trains a part of what the first did, where that ended."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from jaxtyping import Int

from fl.clients.work import Work
from fl.data.shards import Shards
from fl.training.cost import CostModel
from fl.training.job import JobSettings, Start, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.procedure import Largest, Plan, Procedure
from fl.training.worker import Worker


class Phase(Procedure, Protocol):
    """A procedure with settings of its own."""

    @property
    def settings(self) -> JobSettings:
        """Hyper-parameters of the jobs that it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPhases:
    """Trains all, then some tensors in another way, on the same texts.

    Jobs have the settings of the first phase. What the method does after the last step is done
    after each phase. The losses reported are those of the first.
    """

    first: Phase
    second: Phase
    second_trainable: tuple[str, ...]
    """Ends of the names of what the second phase trains, out of what a job trains; names as a whole
    would not be those of a larger model, whose jobs are charged."""

    def plan(self, samples: Int[np.ndarray, " text"], *, seed: int) -> Plan:
        """Return what the first phase does, and then the second."""
        then = self.second.plan(samples, seed=_second_seed(seed))
        return replace(self.first.plan(samples, seed=seed), then=then)

    def work(self, plan: Plan, start: Start, cost: CostModel) -> Work:
        """Return what both phases compute.

        Raises
        ------
        ValueError
            If the plan is of one phase.
        """
        if plan.then is None:
            msg = "plan: must be of two phases, got one"
            raise ValueError(msg)
        first = self.first.work(replace(plan, then=None), start, cost)
        return first + self.second.work(plan.then, self._second_start(start), cost)

    def largest(self, shards: Shards, start: Start, cost: CostModel) -> Largest:
        """Return the step of the phase that needs more memory, and what both phases write."""
        first = self.first.largest(shards, start, cost)
        second = self.second.largest(shards, self._second_start(start), cost)
        larger = max((first, second), key=lambda each: each.step.memory_bytes())
        return replace(larger, writing=first.writing + second.writing)

    def run(self, job: TrainJob, worker: Worker[LocalWork]) -> TrainResult:
        """Run both phases. The result depends on the job alone.

        Raises
        ------
        ValueError
            If the second phase trains nothing of the job; and whatever the phases raise.
        """
        if not self._second_start(job.start).trainable:
            ends = ", ".join(self.second_trainable)
            msg = f"second_trainable: must end some names that the job trains, got {ends}"
            raise ValueError(msg)
        first = self.first.run(job, worker)
        reached = replace(
            job.start,
            tensors={name: first.tensors[name] for name in job.start.tensors},
            client_outputs={name: first.tensors[name] for name in job.start.client_outputs},
        )
        second = self.second.run(
            replace(
                job,
                start=self._second_start(reached),
                settings=self.second.settings,
                seed=_second_seed(job.seed),
            ),
            worker,
        )
        return replace(first, tensors=second.tensors, num_steps=first.num_steps + second.num_steps)

    def _second_start(self, start: Start) -> Start:
        trainable = tuple(name for name in start.trainable if name.endswith(self.second_trainable))
        return replace(start, trainable=trainable)


def _second_seed(seed: int) -> int:
    """Return a seed of the second phase, that follows from the job's."""
    return int(np.random.SeedSequence([seed, 1]).generate_state(1, np.uint64)[0] >> np.uint64(1))
