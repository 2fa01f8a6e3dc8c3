"""An executor that runs no job: what takes simulated time and joules depends on shapes alone."""

import math
from dataclasses import dataclass
from typing import overload

from fl.execution.executor import JobHandle
from fl.training.job import EvaluationJob, EvaluationResult, Job, TrainJob, TrainResult


class TimingOnlyExecutor:
    """Give every training job its start as its result, so that names and shapes are right.

    There is no loss (NaN), and nothing can be evaluated. Start tensors are best on the meta device:
    their values are never read.
    """

    def __init__(self) -> None:
        self.num_submitted = 0
        """Training jobs that were submitted."""
        self.num_computed = 0
        """Always 0."""
        self.host_training_s = 0.0
        """Always 0."""
        self.runs_ahead = False
        """No job runs."""
        self._is_closed = False

    @overload
    def submit(self, job: TrainJob, *, flop: int = 0) -> JobHandle[TrainResult]: ...
    @overload
    def submit(self, job: EvaluationJob, *, flop: int = 0) -> JobHandle[EvaluationResult]: ...
    def submit(
        self, job: Job, *, flop: int = 0
    ) -> JobHandle[TrainResult] | JobHandle[EvaluationResult]:
        """Take a training job and run nothing, so ``flop`` makes no difference.

        Raises
        ------
        RuntimeError
            If the executor is closed.
        ValueError
            For an evaluation: nothing is trained, so nothing has scores.
        """
        del flop
        if self._is_closed:
            msg = f"executor: is closed, cannot take the {job.describe()}"
            raise RuntimeError(msg)
        if isinstance(job, TrainJob):
            self.num_submitted += 1
            return _Untrained(job)
        msg = f"training.mode: none trains nothing, there are no scores for the {job.describe()}"
        raise ValueError(msg)

    def close(self) -> None:
        """Take no job from now on."""
        self._is_closed = True


@dataclass(slots=True)
class _Untrained(JobHandle[TrainResult]):
    """A job whose result is its start."""

    job: TrainJob

    def result(self) -> TrainResult:
        start = self.job.start
        return TrainResult(
            tensors={**start.tensors, **start.client_outputs}
            if start.client_outputs
            else start.tensors,
            mean_loss=math.nan,
            rms_loss=math.nan,
            num_samples=len(self.job.samples),
            num_steps=0,
        )

    def drop(self) -> None:
        """Hold on: nothing is saved by letting go."""
