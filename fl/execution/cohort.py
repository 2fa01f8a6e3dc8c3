"""Training jobs of several clients as one, on one frozen backbone.

What has been submitted waits until a result is first asked for; then the jobs of its kind (what is
trained, shapes, settings) are trained together, at most so many at a time. Results are those of
each job alone but for rounding, which depends on who was trained with whom: a store keeps them by
the digests of all of them, apart from those of jobs that were run alone.

What cannot be trained together is run job by job, as :class:`InProcessExecutor` does, and a
warning of this module says why, once.
"""

import hashlib
import logging
import math
import os
import time
import weakref
from collections.abc import Sequence
from functools import cache

import torch

from fl.execution.code_digest import code_digest
from fl.execution.executor import InProcessExecutor, JobHandle
from fl.execution.procedures import procedure_of
from fl.execution.store import ResultStore
from fl.own_code import in_one_line
from fl.training.client_axis import CannotStackError
from fl.training.job import JobSettings, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.procedure import Batches
from fl.training.rate_schedule import CONSTANT_RATE
from fl.training.stacked import train_stacked
from fl.training.step_count import count_step
from fl.training.supervised import Supervised
from fl.training.worker import Worker

logger = logging.getLogger(__name__)

MAX_JOBS = 8
"""Most jobs that are trained together where nothing else is said [our choice: on a CPU, more gain
nothing, as what is worked on no longer fits its cache]."""
ROOM = 0.5
"""Part of the memory of the machine that jobs trained together may take [our choice]."""
_CODE = "fl.training.stacked"

Kind = tuple[tuple[str, ...], JobSettings, tuple[tuple[str, tuple[int, ...], torch.dtype], ...]]
"""What is trained, how, and all shapes: what jobs that are trained together have in common."""


class CohortExecutor(InProcessExecutor):
    """Train jobs of several clients together; evaluations run as in the base.

    Parameters
    ----------
    worker
        What jobs run on.
    max_jobs
        Most jobs that are trained together, at least 1; fewer where memory is short.
    store
        Results that are known, and where new ones are kept; ``None``: every job is run.
    """

    def __init__(
        self,
        worker: Worker[LocalWork],
        *,
        max_jobs: int = MAX_JOBS,
        store: ResultStore | None = None,
    ) -> None:
        super().__init__(worker, store=store)
        self._max_jobs = max_jobs
        # A job whose handle nobody holds any more is not trained.
        self._waiting: list[weakref.ref[_Handle]] = []
        self._most: dict[Kind, int] = {}
        """Most jobs of a kind that are trained together; 1 where they cannot be."""
        self._checked: set[Kind] = set()

    def close(self) -> None:
        """Let go of the worker and of what waits."""
        super().close()
        self._waiting.clear()

    def _take(self, job: TrainJob) -> JobHandle[TrainResult]:
        handle = _Handle(job, self)
        self._waiting.append(weakref.ref(handle))
        return handle

    def train(self, handle: "_Handle") -> None:
        """Train the job of a handle, and others with it; their handles have their results then."""
        job = handle.open_job()
        self._open_worker(job)
        host_started_s = time.perf_counter()
        try:
            while not handle.is_settled:
                self._train_cohort(self._cohort_of(handle))
        finally:
            self.host_training_s += time.perf_counter() - host_started_s

    def leave(self, handle: "_Handle") -> None:
        """Forget a job that waits."""
        self._waiting = [each for each in self._waiting if each() not in (None, handle)]

    def _cohort_of(self, handle: "_Handle") -> "list[_Handle]":
        """Return those to train together with a job: in the order in which they came."""
        alive = [each for ref in self._waiting if (each := ref()) is not None]
        alike = [each for each in alive if each.kind == handle.kind]
        most = min(self._max_jobs, self._most_of(handle))
        if most == 1 or len(alike) == 1:
            return [handle]
        num_parts = math.ceil(len(alike) / most)
        at = alike.index(handle) * num_parts // len(alike)
        return [each for place, each in enumerate(alike) if place * num_parts // len(alike) == at]

    def _most_of(self, handle: "_Handle") -> int:
        """Return the most jobs of a kind that may be trained together."""
        if handle.kind not in self._most:
            job = handle.open_job()
            worker = self._open_worker(job)
            reason = _why_alone(job, worker)
            if reason is None:
                self._most[handle.kind] = _room_for(job, worker)
            else:
                _tell(worker.method.kind, reason)
                self._most[handle.kind] = 1
        return self._most[handle.kind]

    def _train_cohort(self, handles: "Sequence[_Handle]") -> None:
        """Train jobs together; where memory is short, or it cannot be done, say so for the next."""
        jobs, kind = [each.open_job() for each in handles], handles[0].kind
        if len(jobs) == 1:
            self._settle(handles, [self._trained(jobs[0])])
            return
        digests = self._digests(jobs)
        known = self._known(jobs, digests)
        if known is not None:
            self._settle(handles, known)
            return
        worker = self._open_worker(jobs[0])
        try:
            found = train_stacked(
                jobs,
                [_steps(job, worker) for job in jobs],
                worker,
                is_checked=kind not in self._checked,
            )
        except Exception as error:
            # Whatever is wrong with a job itself shows again when it is run alone.
            is_short = is_out_of_memory(error)
            if is_short and worker.device.type == "cuda":
                torch.cuda.empty_cache()
            self._most[kind] = len(jobs) // 2 if is_short else 1
            if not is_short:
                reason = str(error) if isinstance(error, CannotStackError) else in_one_line(error)
                _tell(worker.method.kind, reason)
            return
        self._checked.add(kind)
        self.num_computed += len(jobs)
        self._keep(jobs, digests, found)
        self._settle(handles, found)

    def _settle(
        self,
        handles: "Sequence[_Handle]",
        results: Sequence[TrainResult | FloatingPointError],
    ) -> None:
        for handle, result in zip(handles, results, strict=True):
            self.leave(handle)
            handle.settle(result)

    def _digests(self, jobs: Sequence[TrainJob]) -> list[str]:
        """Return what results are kept by: who was trained with whom decides their last bits."""
        if self._store is None:
            return []
        device = self._open_worker(jobs[0]).device.type
        of_all = hashlib.sha256(f"cohort {device} {code_digest(_CODE)}".encode())
        for job in jobs:
            of_all.update(job.digest().encode())
        whole = of_all.hexdigest()
        return [hashlib.sha256(f"{whole} {at}".encode()).hexdigest() for at in range(len(jobs))]

    def _known(self, jobs: Sequence[TrainJob], digests: Sequence[str]) -> list[TrainResult] | None:
        """Return the results of all jobs, if all are kept."""
        if self._store is None:
            return None
        found = []
        for job, digest in zip(jobs, digests, strict=True):
            result = self._store.find_trained(job, digest)
            if result is None:
                return None
            found.append(result)
        return found

    def _keep(
        self,
        jobs: Sequence[TrainJob],
        digests: Sequence[str],
        results: Sequence[TrainResult | FloatingPointError],
    ) -> None:
        if self._store is None:
            return
        for job, digest, result in zip(jobs, digests, results, strict=True):
            if isinstance(result, TrainResult):
                self._store.keep_trained(job, digest, result)


class _Handle:
    """A training job that was submitted."""

    def __init__(self, job: TrainJob, executor: CohortExecutor) -> None:
        self.kind: Kind = (
            job.start.trainable,
            job.settings,
            tuple(
                (name, tuple(each.shape), each.dtype)
                for name, each in sorted(job.start.tensors.items())
            ),
        )
        self._executor = executor
        self._name = job.describe()
        self._job: TrainJob | None = job
        self._result: TrainResult | FloatingPointError | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the job has been trained, or has failed."""
        return self._result is not None

    def open_job(self) -> TrainJob:
        """Return the job, which has not been trained.

        Raises
        ------
        RuntimeError
            If it was dropped.
        """
        if self._job is None:
            msg = f"result: the {self._name} was dropped, it has no result"
            raise RuntimeError(msg)
        return self._job

    def settle(self, result: TrainResult | FloatingPointError) -> None:
        """Take in what came of the job."""
        self._job, self._result = None, result

    def result(self) -> TrainResult:
        """Train what waits, unless the job has been trained; return its result."""
        if self._result is None:
            self._executor.train(self)
        if self._result is None or isinstance(self._result, FloatingPointError):
            raise self._result or RuntimeError(self._name)
        return self._result

    def is_ready(self) -> bool:
        """Return whether the job has been trained."""
        return self.is_settled

    def drop(self) -> None:
        """Free the job and its result."""
        self._executor.leave(self)
        self._job = self._result = None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of torch or Python says that memory is short.

    On a GPU it is not always torch that asks for memory: libraries of CUDA have words of their own.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    told = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in told for words in _SHORT)


_SHORT = (
    "not enough memory",
    "can't allocate memory",
    "out of memory",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
)


def _why_alone(job: TrainJob, worker: Worker[LocalWork]) -> str | None:
    """Return why jobs like this one are not trained together; ``None`` where they may be."""
    settings = job.settings
    if not isinstance(procedure_of(settings, worker), Supervised):
        return "it does not only train on the loss of the task"
    if settings.step_schedule != CONSTANT_RATE or settings.warmup_steps:
        return "the learning rate goes by the steps of each job (step_schedule, warmup_steps)"
    if settings.drops:
        return "what is dropped is drawn for each job (dropout)"
    if settings.privacy is not None:
        return "gradients are clipped text by text (training.privacy)"
    if settings.micro_batch_size is not None:
        return "batches are passed in parts (micro_batch_size)"
    return None


def _steps(job: TrainJob, worker: Worker[LocalWork]) -> Batches:
    return procedure_of(job.settings, worker).plan(job.samples, seed=job.seed).steps


def _room_for(job: TrainJob, worker: Worker[LocalWork]) -> int:
    """Return how many jobs like this one memory is surely enough for, at least 1.

    The largest batch that a job could have is run once; a graphics card is not asked, it says
    itself when its memory is short.
    """
    if worker.device.type != "cpu":
        return MOST
    tokens = worker.train.tokens
    answers, size = tokens.answer_lengths, job.settings.batch_size
    worker.load(job.start.tensors)
    with worker.computing():
        step = count_step(
            worker.module,
            job.start.trainable,
            batch_size=size,
            num_tokens=int(tokens.lengths.max()),
            num_asked=None if answers is None else size * int(answers.max()),
        )
    room = ROOM * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    each = step.trained_bytes + step.activation_bytes
    return max(1, int((room - step.frozen_bytes) // each))


MOST = 10**9
"""No limit."""


@cache
def _tell(kind: str, reason: str) -> None:
    """Say once why jobs are run one by one."""
    logger.warning("%s: clients are trained one by one: %s", kind, reason)
