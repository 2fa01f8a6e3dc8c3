"""Who runs jobs, and when: after submission, before the result is first needed."""

import time
from typing import Protocol

from fl.training.job import TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.supervised import run_job
from fl.training.worker import Worker


class JobHandle(Protocol):
    """A submitted job."""

    def result(self) -> TrainResult:
        """Give the update; runs the job if nothing has run it yet."""


class Executor(Protocol):
    """Runs jobs in this process, in batches, or elsewhere; results never depend on which."""

    num_submitted: int
    num_computed: int
    host_training_s: float
    """Host seconds spent in training."""

    def submit(self, job: TrainJob) -> JobHandle:
        """Take a job whose inputs are fixed. Nobody may ever ask for its result."""


class InProcessExecutor:
    """Run a job in this process when its result is first asked for."""

    def __init__(self, worker: Worker[LocalWork]) -> None:
        self.num_submitted = 0
        self.num_computed = 0
        self.host_training_s = 0.0
        self._worker = worker

    def submit(self, job: TrainJob) -> JobHandle:
        """Keep the job until it is asked for; computes nothing."""
        self.num_submitted += 1
        return _LazyHandle(job, self)

    def compute(self, job: TrainJob) -> TrainResult:
        """Run a job now and count it."""
        host_started_s = time.perf_counter()
        result = run_job(job, self._worker)
        self.host_training_s += time.perf_counter() - host_started_s
        self.num_computed += 1
        return result


class _LazyHandle:
    """A job that runs at most once."""

    def __init__(self, job: TrainJob, executor: InProcessExecutor) -> None:
        # Holds the job until it has run, then its update: start tensors are not kept longer.
        self._state: TrainJob | TrainResult = job
        self._executor = executor

    def result(self) -> TrainResult:
        """Run the job unless it has run; give its update."""
        if isinstance(self._state, TrainJob):
            self._state = self._executor.compute(self._state)
        return self._state
