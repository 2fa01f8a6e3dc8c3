"""Who runs jobs, and when: after submission, before the result is first needed."""

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, overload

from fl.execution.run_job import run_job
from fl.execution.store import ResultStore
from fl.training.job import EvaluationJob, EvaluationResult, Job, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.worker import Worker

AnyJob = TypeVar("AnyJob", bound=Job)
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class JobHandle(Protocol[Result_co]):
    """A submitted job."""

    def result(self) -> Result_co:
        """Return what the job produced; runs it if nothing has run it yet.

        Raises
        ------
        RuntimeError
            If the job was dropped.
        """

    def is_ready(self) -> bool:
        """Return whether there is a result that nobody has to wait for."""
        return True

    def drop(self) -> None:
        """Declare that nobody will ask for the result: a job that has not run never will.

        No effect on a job that was dropped before. What the job holds may be freed.
        """


class Executor(Protocol):
    """Runs jobs in this process, in batches, or elsewhere; results never depend on which."""

    num_submitted: int
    """Training jobs that were submitted."""
    num_computed: int
    """Training jobs that were run."""
    host_training_s: float
    """Host seconds spent in training jobs."""
    runs_ahead: bool
    """Whether jobs run before their results are asked for."""

    @overload
    def submit(self, job: TrainJob, *, flop: int = 0) -> JobHandle[TrainResult]: ...
    @overload
    def submit(self, job: EvaluationJob, *, flop: int = 0) -> JobHandle[EvaluationResult]: ...
    def submit(
        self, job: Job, *, flop: int = 0
    ) -> JobHandle[TrainResult] | JobHandle[EvaluationResult]:
        """Take a job whose inputs are fixed. Nobody may ever ask for its result.

        Parameters
        ----------
        job
            What to run.
        flop
            Its floating-point operations, by which work may be spread; 0 where they are not known.

        Raises
        ------
        RuntimeError
            If the executor is closed.
        """

    def close(self) -> None:
        """End the executor: no job is taken or run from now on. No effect the second time."""


class InProcessExecutor:
    """Run a job in this process when its result is first asked for.

    Parameters
    ----------
    worker
        What jobs run on.
    store
        Results that are known, and where new ones are kept; ``None``: every job is run.
    """

    def __init__(self, worker: Worker[LocalWork], *, store: ResultStore | None = None) -> None:
        self.num_submitted = 0
        self.num_computed = 0
        self.host_training_s = 0.0
        self.runs_ahead = False
        self._worker: Worker[LocalWork] | None = worker
        self._store = store

    @overload
    def submit(self, job: TrainJob, *, flop: int = 0) -> JobHandle[TrainResult]: ...
    @overload
    def submit(self, job: EvaluationJob, *, flop: int = 0) -> JobHandle[EvaluationResult]: ...
    def submit(
        self, job: Job, *, flop: int = 0
    ) -> JobHandle[TrainResult] | JobHandle[EvaluationResult]:
        """Keep the job until it is asked for; computes nothing, so ``flop`` makes no difference."""
        del flop
        self._open_worker(job)
        if isinstance(job, EvaluationJob):
            return LazyHandle(job, self._evaluate)
        self.num_submitted += 1
        return self._take(job)

    def close(self) -> None:
        """Let go of the worker."""
        self._worker = None

    def _take(self, job: TrainJob) -> JobHandle[TrainResult]:
        """Return the handle of a training job."""
        return LazyHandle(job, self._train)

    def _train(self, job: TrainJob) -> TrainResult:
        self._open_worker(job)
        host_started_s = time.perf_counter()
        result = self._trained(job)
        self.host_training_s += time.perf_counter() - host_started_s
        return result

    def _trained(self, job: TrainJob) -> TrainResult:
        """Read the result of a job, or run it."""
        if self._store is None:
            return self._run_training(job)
        return self._store.trained(job, self._run_training)

    def _run_training(self, job: TrainJob) -> TrainResult:
        result = run_job(job, self._open_worker(job))
        self.num_computed += 1
        return result

    def _evaluate(self, job: EvaluationJob) -> EvaluationResult:
        worker = self._open_worker(job)
        if self._store is None:
            return run_job(job, worker)
        return self._store.evaluated(job, lambda each: run_job(each, worker))

    def _open_worker(self, job: Job) -> Worker[LocalWork]:
        if self._worker is None:
            msg = f"executor: is closed, cannot take or run the {job.describe()}"
            raise RuntimeError(msg)
        return self._worker


class LazyHandle(Generic[AnyJob, Result]):
    """A job that runs at most once, when its result is first asked for."""

    def __init__(self, job: AnyJob, run: Callable[[AnyJob], Result]) -> None:
        # Holds the job until it has run, then its result: start tensors are not kept longer.
        self._job: AnyJob | None = job
        self._result: Result | None = None
        self._run = run
        self._name = job.describe()

    def result(self) -> Result:
        """Run the job unless it has run; return its result."""
        if self._result is None:
            if self._job is None:
                msg = f"result: the {self._name} was dropped, it has no result"
                raise RuntimeError(msg)
            self._result = self._run(self._job)
            self._job = None
        return self._result

    def is_ready(self) -> bool:
        """Return whether the job has run."""
        return self._result is not None

    def drop(self) -> None:
        """Free the job and its result."""
        self._job = None
        self._result = None
