"""Jobs on worker processes of this machine: they start as soon as they are submitted.

Every process makes its own worker from the recipe of a run, computes on one thread, and keeps the
worker until jobs of another recipe come. The pool outlives a run: a study starts its processes
once. Largest jobs go first among those that wait. Results are those of running a job here, to the
bit, as they are functions of the job alone.
"""

import heapq
import pickle
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Generic, TypeVar, overload

from fl.execution.executor import JobHandle
from fl.execution.packing import (
    Packed,
    pack_evaluated,
    pack_trained,
    unpack_evaluated,
    unpack_trained,
)
from fl.execution.recipe import WorkerRecipe
from fl.execution.run_job import run_job
from fl.execution.store import ResultStore
from fl.training.job import EvaluationJob, EvaluationResult, Job, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.worker import Worker

Result = TypeVar("Result")


class WorkerDiedError(RuntimeError):
    """A worker process has ended without a word: it was killed, or memory is short."""


class WorkerPool:
    """Processes that run jobs of any recipe, until :meth:`close`.

    Parameters
    ----------
    num_workers
        Processes, at least 1; they start with the first job.
    """

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        # spawn: a forked child would inherit the state of numerical thread pools
        self._pool = ProcessPoolExecutor(
            num_workers, mp_context=get_context("spawn"), initializer=_ignore_interrupts
        )

    def submit(self, order: "_Order") -> "Future[_Answer]":
        """Hand a job to the next process that is free."""
        return self._pool.submit(_serve, order)

    def close(self) -> None:
        """End the processes; a job that runs is not waited for longer than it takes."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Order:
    """A job as it is sent to a process."""

    recipe: bytes
    job: bytes
    store: Path | None
    store_max_bytes: int | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a process sends back."""

    packed: bytes
    is_computed: bool
    """Whether the job was run, not read from the store."""


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
        pool: WorkerPool,
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
        self._store, self._store_max_bytes = store, store_max_bytes
        self._lock = threading.RLock()  # a job that is done at once calls back at once
        self._waiting: list[_Waiting] = []
        self._numbers = count()
        self._num_running = 0
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
        handle: _Handle[TrainResult] | _Handle[EvaluationResult]
        if isinstance(job, TrainJob):
            self.num_submitted += 1
            handle = _Handle(job, lambda packed: unpack_trained(job, packed), self._note_training)
        else:
            handle = _Handle(job, unpack_evaluated, _ignore)
        with self._lock:
            heapq.heappush(self._waiting, _Waiting(-flop, next(self._numbers), handle))
        self._feed()
        return handle

    def close(self) -> None:
        """Start no job any more."""
        self._is_open = False
        with self._lock:
            for waiting in self._waiting:
                waiting.handle.drop()
            self._waiting.clear()

    def _note_training(self, waited_s: float, *, is_computed: bool) -> None:
        self.host_training_s += waited_s
        self.num_computed += is_computed

    def _feed(self) -> None:
        """Hand out jobs while there are fewer than processes; called from other threads too."""
        with self._lock:
            while self._waiting and self._num_running < self._pool.num_workers:
                handle = heapq.heappop(self._waiting).handle
                job = handle.take()
                if job is None:  # dropped meanwhile
                    continue
                future = self._start(job)
                self._num_running += 1
                handle.started(future)
                future.add_done_callback(self._on_done)

    def _start(self, job: bytes) -> "Future[_Answer]":
        order = _Order(self._recipe, job, self._store, self._store_max_bytes)
        try:
            return self._pool.submit(order)
        except RuntimeError as error:  # closed, or a process is lost: who asks for a result is told
            failed: Future[_Answer] = Future()
            failed.set_exception(error)
            return failed

    def _on_done(self, _: "Future[_Answer]") -> None:
        with self._lock:
            self._num_running -= 1
        self._feed()


class _Handle(Generic[Result]):
    """A job that was submitted."""

    def __init__(
        self,
        job: Job,
        unpack: Callable[[Packed], Result],
        note: Callable[..., None],
    ) -> None:
        self._job: bytes | None = pickle.dumps(job)
        self._unpack: Callable[[Packed], Result] | None = unpack
        self._note = note
        self._name = job.describe()
        self._begun: Future[Future[_Answer]] = Future()
        self._result: Result | None = None

    def take(self) -> bytes | None:
        """Return the job for a process, once; ``None`` if nobody wants its result."""
        job, self._job = self._job, None
        return job

    def started(self, future: "Future[_Answer]") -> None:
        """Note where the job runs."""
        self._begun.set_result(future)

    def result(self) -> Result:
        """Wait for the result."""
        if self._result is not None:
            return self._result
        if self._unpack is None:
            msg = f"result: the {self._name} was dropped, it has no result"
            raise RuntimeError(msg)
        host_started_s = time.perf_counter()
        try:
            answer = self._begun.result().result()
        except BrokenProcessPool:
            msg = f"a worker process died while the {self._name} was awaited; is memory short?"
            raise WorkerDiedError(msg) from None
        self._result = self._unpack(pickle.loads(answer.packed))
        self._note(time.perf_counter() - host_started_s, is_computed=answer.is_computed)
        self._unpack = None
        return self._result

    def drop(self) -> None:
        """Free the job and its result."""
        self._job = self._unpack = self._result = None
        if self._begun.done():
            self._begun.result().cancel()


@dataclass(order=True, slots=True)
class _Waiting:
    """A place in the queue: of equal jobs, who came first goes first."""

    minus_flop: int
    number: int
    handle: "_Handle[TrainResult] | _Handle[EvaluationResult]" = field(compare=False)


def _ignore(_: float, *, is_computed: bool) -> None:
    del is_computed


# In a worker process ------------------------------------------------------------------------------

_made: dict[bytes, Worker[LocalWork]] = {}
"""The worker of this process, by its recipe."""


def _ignore_interrupts() -> None:
    # an interrupt at the keyboard reaches the whole process group; the parent decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _serve(order: _Order) -> _Answer:
    """Run a job, or read its result."""
    worker = _worker_of(order.recipe)
    job: Job = pickle.loads(order.job)
    computed: list[Job] = []

    def compute(each: TrainJob) -> TrainResult:
        computed.append(each)
        return run_job(each, worker)

    def score(each: EvaluationJob) -> EvaluationResult:
        computed.append(each)
        return run_job(each, worker)

    store = None if order.store is None else _store_of(order.store, order.store_max_bytes)
    packed: Packed
    if isinstance(job, TrainJob):
        packed = pack_trained(job, compute(job) if store is None else store.trained(job, compute))
    else:
        packed = pack_evaluated(score(job) if store is None else store.evaluated(job, score))
    return _Answer(pickle.dumps(packed), is_computed=bool(computed))


@lru_cache(maxsize=1)
def _store_of(folder: Path, max_bytes: int | None) -> ResultStore:
    return ResultStore(folder, max_bytes=max_bytes)


def _worker_of(recipe: bytes) -> Worker[LocalWork]:
    if recipe not in _made:
        _made.clear()
        made: WorkerRecipe = pickle.loads(recipe)
        _made[recipe] = made.build()
    return _made[recipe]
