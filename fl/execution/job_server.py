"""A worker process: it takes orders, runs their jobs or reads the results, and answers."""

import contextlib
import pickle
import signal
import traceback
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from fl.execution.packing import Packed, pack_evaluated, pack_trained
from fl.execution.recipe import WorkerRecipe
from fl.execution.run_job import run_job
from fl.execution.store import ResultStore
from fl.training.job import EvaluationJob, EvaluationResult, Job, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.worker import Worker

END = b""
"""In place of an order: the process ends."""


@dataclass(frozen=True, slots=True)
class Order:
    """A job as it is sent to a process."""

    recipe: bytes
    job: Job
    store: Path | None
    store_max_bytes: int | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process sends back."""

    packed: Packed
    is_computed: bool
    """Whether the job was run, not read from the store."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a process sends back where the job raised an error."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Made:
    """A worker that is kept."""

    worker: Worker[LocalWork]
    num_threads: int


def serve_jobs(connection: Connection, num_recipes: int) -> None:
    """Take orders until the other end is closed, or says so.

    Parameters
    ----------
    connection
        Orders come and answers go as bytes.
    num_recipes
        Workers of different recipes that are kept at a time, those that were used last.
    """
    # an interrupt at the keyboard reaches the whole process group; the parent decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    made: OrderedDict[bytes, Made] = OrderedDict()
    with contextlib.suppress(EOFError, OSError):
        while (order := connection.recv_bytes()) != END:
            connection.send_bytes(answered(order, made, num_recipes))


def answered(order: bytes, made: "OrderedDict[bytes, Made]", num_recipes: int) -> bytes:
    """Return the answer to an order, both as bytes.

    Parameters
    ----------
    order
        An :class:`Order`.
    made
        Workers that this process keeps, by recipe; changed in place.
    num_recipes
        Most of them.

    Returns
    -------
    bytes
        An :class:`Answer`, or a :class:`Failure`.
    """
    try:
        return pickle.dumps(_serve(pickle.loads(order), made, num_recipes))
    except (Exception, SystemExit) as error:  # a user's own code may call sys.exit
        error.add_note(f"in a worker process:\n{traceback.format_exc()}")
        try:
            failure = pickle.dumps(Failure(error))
            pickle.loads(failure)
        except Exception:
            return pickle.dumps(Failure(RuntimeError(f"{type(error).__name__}: {error}")))
        return failure


def _serve(order: Order, made: "OrderedDict[bytes, Made]", num_recipes: int) -> Answer:
    """Run a job, or read its result."""
    worker = _worker_of(order.recipe, made, num_recipes)
    job, computed = order.job, list[Job]()

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
    return Answer(packed, is_computed=bool(computed))


def _worker_of(
    recipe: bytes, made: "OrderedDict[bytes, Made]", num_recipes: int
) -> Worker[LocalWork]:
    """Return the worker of a recipe, made where it is not kept; this process gets its threads."""
    if recipe not in made:
        while len(made) >= num_recipes:
            made.popitem(last=False)
        read: WorkerRecipe = pickle.loads(recipe)
        made[recipe] = Made(read.build(), read.training.threads)
    made.move_to_end(recipe)
    torch.set_num_threads(made[recipe].num_threads)
    return made[recipe].worker


@lru_cache(maxsize=1)
def _store_of(folder: Path, max_bytes: int | None) -> ResultStore:
    return ResultStore(folder, max_bytes=max_bytes)
