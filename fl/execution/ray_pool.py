"""Jobs on a Ray cluster: one that runs already, or one that is started on this machine.

A cluster stands where the pool of worker processes stands (:mod:`fl.execution.worker_pool`): orders
go out as bytes, answers come back as bytes, and workers are made of recipes on the nodes. A job
whose process or node is lost is run again elsewhere, at most :data:`MAX_RETRIES` times. Files and
models that a scenario names must be at the same place on every node, and so must the folder of a
store: then a result that one node has is read by all.

Results are those of running a job here, to the bit, on machines of one kind: another processor may
add in another order.
"""

import contextlib
import importlib
import signal
import threading
from collections import OrderedDict
from functools import cached_property
from itertools import count
from typing import Any

from fl.execution.job_server import Made, answered
from fl.execution.pool_client import WorkerDiedError

MAX_RETRIES = 3
"""Times that a job is run again after its process or node was lost."""
NUM_RECIPES = 2
"""Recipes that a process of the cluster keeps a worker of."""


class RayError(RuntimeError):
    """Ray is not installed, or no cluster answers, or it has no room for a job."""


class RayPool:
    """A Ray cluster that runs jobs of any recipe, until :meth:`close`.

    Parameters
    ----------
    address
        ``host:port`` of a cluster that runs, or ``auto`` for that of this machine; ``None`` starts
        one with the cores of this machine, which ends with :meth:`close`.
    num_gpus
        GPUs that a job holds, a part of one where several share it; 0: none.

    Raises
    ------
    RayError
        One line.
    """

    def __init__(self, address: str | None = None, *, num_gpus: float = 0.0) -> None:
        self._ray = _connected(address)
        self._num_gpus = num_gpus
        held = self._ray.cluster_resources()
        cores, gpus = held.get("CPU", 0.0), held.get("GPU", 0.0)
        if cores < 1 or gpus < num_gpus:
            self.close()
            needed, there = f"1 core and {num_gpus:g} GPUs", f"{cores:g} and {gpus:g}"
            msg = f"a job needs {needed}, the cluster has {there}"
            raise RayError(msg)
        self.num_workers = int(min(cores, gpus / num_gpus if num_gpus else cores))
        """Jobs that the cluster runs at a time."""

    @cached_property
    def here(self) -> "RayClient":
        """The client of this process."""
        return self.connect()

    def connect(self) -> "RayClient":
        """Return a new client, for this process or another."""
        address: str = self._ray.get_runtime_context().gcs_address
        return RayClient(address, num_gpus=self._num_gpus)

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()


class RayClient:
    """What one run has of a cluster. It may be handed to a process that is started with it.

    Parameters
    ----------
    address
        Of the cluster.
    num_gpus
        GPUs that a job holds.
    """

    def __init__(self, address: str, *, num_gpus: float) -> None:
        self._address, self._num_gpus = address, num_gpus
        self._numbers = count()
        self._jobs: dict[int, Any] = {}
        """References to answers, by the numbers of jobs."""
        self._answers: dict[int, bytes] = {}
        """Those that have come, until their jobs are dropped."""

    def submit(self, order: bytes, *, recipe: str, flop: int) -> int:
        """Let a job run when there is room; return the number by which it is asked for.

        Ray starts jobs in the order in which they come, wherever there is room, so ``recipe`` and
        ``flop`` make no difference.
        """
        del recipe, flop
        number = next(self._numbers)
        self._jobs[number] = self._cluster[1].remote(order)
        return number

    def result(self, number: int) -> bytes:
        """Wait for the answer to a job; it is kept until the job is dropped."""
        if number in self._answers:
            return self._answers[number]
        ray = self._cluster[0]
        try:
            answer: bytes = ray.get(self._jobs[number])
        except ray.exceptions.RayError as error:
            del self._jobs[number]
            raise WorkerDiedError from error
        self._answers[number] = answer
        del self._jobs[number]
        return answer

    def has_answer(self, number: int) -> bool:
        """Return whether the answer to a job is there."""
        if number in self._answers:
            return True
        ray = self._cluster[0]
        try:
            return number in self._jobs and bool(ray.wait([self._jobs[number]], timeout=0)[0])
        except ray.exceptions.RayError:
            return False

    def drop(self, number: int) -> None:
        """Let a job, or its answer, go; nobody will ask for it."""
        self._answers.pop(number, None)
        job = self._jobs.pop(number, None)
        if job is not None:
            ray = self._cluster[0]
            with contextlib.suppress(ray.exceptions.RayError):
                ray.cancel(job)

    def close(self) -> None:
        """Let everything go that was submitted here."""
        for number in list(self._jobs):
            self.drop(number)

    @cached_property
    def _cluster(self) -> tuple[Any, Any]:
        """Ray, connected in this process, and what it calls on its nodes."""
        ray = _connected(self._address)
        settings = {"num_cpus": 1, "num_gpus": self._num_gpus, "max_retries": MAX_RETRIES}
        return ray, ray.remote(**settings)(_answer)


def _connected(address: str | None) -> Any:  # noqa: ANN401 -- the package, which may be absent
    """Import Ray and connect this process to a cluster, unless it is."""
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        msg = f"the package ray is needed ({error}): pip install 'airtune[ray]'"
        raise RayError(msg) from error
    if ray.is_initialized():
        return ray
    ends = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address="local" if address is None else address,
            log_to_driver=False,
            configure_logging=False,
            include_dashboard=False if address is None else None,
        )
    except (OSError, RuntimeError, ValueError) as error:
        told = " ".join(str(error).split())
        msg = f"no cluster answers at {address or 'this machine'}: {told}"
        raise RayError(msg) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, ends)  # Ray's own one takes the end of a task for a failure
    return ray


# In a process of the cluster ----------------------------------------------------------------------

_made: OrderedDict[bytes, Made] = OrderedDict()


def _answer(order: bytes) -> bytes:
    return answered(order, _made, NUM_RECIPES)
