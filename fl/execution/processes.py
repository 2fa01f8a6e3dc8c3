"""Jobs on worker processes of this machine: they start as soon as they are submitted.

Every process makes its own worker from the recipe of a run, computes on one thread, and keeps the
worker until jobs of other recipes come. The pool outlives a run: a study starts its processes once,
and runs at a time share them. Largest jobs go first among those that wait. Results are those of
running a job here, to the bit, as they are functions of the job alone.
"""

import hashlib
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar, overload

from fl.execution.executor import JobHandle
from fl.execution.job_server import Answer, Failure, Order
from fl.execution.packing import Packed, unpack_evaluated, unpack_trained
from fl.execution.pool_client import WorkerDiedError
from fl.execution.recipe import WorkerRecipe
from fl.training.job import EvaluationJob, EvaluationResult, Job, TrainJob, TrainResult

Result = TypeVar("Result")


class Pool(Protocol):
    """Where jobs run; see :class:`fl.execution.pool_client.PoolClient`."""

    def submit(self, order: bytes, *, recipe: str, flop: int) -> int:
        """Let a job run; return the number by which it is asked for."""

    def result(self, number: int) -> bytes:
        """Wait for the answer to a job; it may be asked for again until the job is dropped."""

    def has_answer(self, number: int) -> bool:
        """Return whether the answer to a job is there."""

    def drop(self, number: int) -> None:
        """Let a job, or its answer, go."""


class ProcessExecutor:
    """Run jobs on a pool of processes; see :class:`fl.execution.executor.Executor`.

    Parameters
    ----------
    pool
        Where they run; it is not closed here.
    recipe
        What their workers are made of.
    store, store_max_bytes
        Folder of results that are known, and the most bytes in it, as of
        :class:`fl.execution.store.ResultStore`; ``None``: every job is run.
    """

    def __init__(
        self,
        pool: Pool,
        recipe: WorkerRecipe,
        *,
        store: Path | None = None,
        store_max_bytes: int | None = None,
    ) -> None:
        self.num_submitted = 0
        self.num_computed = 0
        self.host_training_s = 0.0
        self.runs_ahead = True
        self._pool = pool
        self._recipe = pickle.dumps(recipe)
        self._recipe_key = hashlib.sha256(self._recipe).hexdigest()
        self._store, self._store_max_bytes = store, store_max_bytes
        self._open: dict[int, _Handle[TrainResult] | _Handle[EvaluationResult]] = {}
        """Jobs whose results may still be asked for, by their numbers in the pool."""
        self._is_open = True

    @overload
    def submit(self, job: TrainJob, *, flop: int = 0) -> JobHandle[TrainResult]: ...
    @overload
    def submit(self, job: EvaluationJob, *, flop: int = 0) -> JobHandle[EvaluationResult]: ...
    def submit(
        self, job: Job, *, flop: int = 0
    ) -> JobHandle[TrainResult] | JobHandle[EvaluationResult]:
        """Start a job when a process is free, the one of most operations first."""
        if not self._is_open:
            msg = f"executor: is closed, cannot take or run the {job.describe()}"
            raise RuntimeError(msg)
        order = Order(self._recipe, job, self._store, self._store_max_bytes)
        number = self._pool.submit(pickle.dumps(order), recipe=self._recipe_key, flop=flop)
        handle: _Handle[TrainResult] | _Handle[EvaluationResult]
        if isinstance(job, TrainJob):
            self.num_submitted += 1
            handle = _Handle(self, number, job, lambda packed: unpack_trained(job, packed))
        else:
            handle = _Handle(self, number, job, unpack_evaluated)
        self._open[number] = handle
        return handle

    def close(self) -> None:
        """Start no job any more."""
        self._is_open = False
        for handle in list(self._open.values()):
            handle.drop()

    def ask(self, number: int, name: str, *, is_training: bool) -> Packed:
        """Wait for the answer to a job.

        Raises
        ------
        WorkerDiedError
            A process has died; one line.
        """
        host_started_s = time.perf_counter()
        try:
            answer: Answer | Failure = pickle.loads(self._pool.result(number))
        except WorkerDiedError:
            del self._open[number]
            msg = f"a worker process died while the {name} was awaited; is memory short?"
            raise WorkerDiedError(msg) from None
        if isinstance(answer, Failure):
            raise answer.error
        if is_training:
            self.host_training_s += time.perf_counter() - host_started_s
            self.num_computed += answer.is_computed
        return answer.packed

    def is_there(self, number: int) -> bool:
        """Return whether the answer to a job is there."""
        return self._pool.has_answer(number)

    def drop(self, number: int) -> None:
        """Let a job, or its answer, go."""
        if self._open.pop(number, None) is not None:
            self._pool.drop(number)


class _Handle(Generic[Result]):
    """A job that was submitted."""

    def __init__(
        self,
        executor: ProcessExecutor,
        number: int,
        job: Job,
        unpack: Callable[[Packed], Result],
    ) -> None:
        self._executor, self._number = executor, number
        self._unpack: Callable[[Packed], Result] | None = unpack
        self._name, self._is_training = job.describe(), isinstance(job, TrainJob)
        self._result: Result | None = None
        self._error: BaseException | None = None

    def result(self) -> Result:
        """Wait for the result."""
        if self._error is not None:
            raise self._error
        if self._result is None:
            if self._unpack is None:
                msg = f"result: the {self._name} was dropped, it has no result"
                raise RuntimeError(msg)
            try:
                packed = self._executor.ask(self._number, self._name, is_training=self._is_training)
            except Exception as error:
                self._error = error
                self._executor.drop(self._number)
                raise
            self._result = self._unpack(packed)
            self._unpack = None
            self._executor.drop(self._number)  # interrupted before, it is asked for again
        return self._result

    def is_ready(self) -> bool:
        """Return whether the result is there."""
        if self._result is not None:
            return True
        return self._unpack is not None and self._executor.is_there(self._number)

    def drop(self) -> None:
        """Free the job and its result."""
        self._unpack = self._result = None
        self._executor.drop(self._number)
