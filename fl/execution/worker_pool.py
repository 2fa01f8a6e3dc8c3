"""Worker processes of this machine that several runs share, and no more at work than asked for.

Who submits jobs is a client: a run in this process, or one in another. A thread here hands jobs to
processes and answers to clients. What it counts as at work is every process that has a job, and
every client that does not wait for an answer: it simulates, or makes itself ready. All of them
together are never more than the processes of the pool.
"""

import contextlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import cached_property
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from fl.execution.job_queue import JobQueue, Key, QueuedJob
from fl.execution.job_server import END, serve_jobs
from fl.execution.pool_client import NOT_THERE, STOPPED, THERE, PoolClient

Serve = Callable[[Connection, int], None]
GRACE_S = 10.0
"""Time that a process has to end its job when the pool is closed [s]."""
LOST = b""
"""In place of an answer: it will never come, for a process has died."""


class _Process:
    """A worker process, as the pool sees it."""

    def __init__(self, num_recipes: int, serve: Serve) -> None:
        # spawn: a forked child would inherit the state of numerical thread pools
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=serve, args=(theirs, num_recipes), daemon=True
        )
        self.process.start()
        theirs.close()
        self.recipes: OrderedDict[str, None] = OrderedDict()
        """Those that it keeps a worker of, the one that was used last at the end."""
        self.job: QueuedJob | None = None
        self._num_recipes = num_recipes

    def begin(self, job: QueuedJob) -> None:
        """Send it a job. It keeps workers as it does there."""
        self.job = job
        self.recipes[job.recipe] = None
        self.recipes.move_to_end(job.recipe)
        while len(self.recipes) > self._num_recipes:
            self.recipes.popitem(last=False)
        with contextlib.suppress(OSError):  # it has died: the end of its answers tells
            self.connection.send_bytes(job.order)


class WorkerPool:
    """Processes that run jobs of any recipe for any client, until :meth:`close`.

    Parameters
    ----------
    num_workers
        Processes that are at work at a time, at least 1, clients included; they start when there
        is work.
    num_recipes
        Recipes that each keeps a worker of: as many as runs at a time.
    serve
        What each process does, as :func:`fl.execution.job_server.serve_jobs`.
    """

    def __init__(
        self, num_workers: int, *, num_recipes: int = 1, serve: Serve = serve_jobs
    ) -> None:
        self.num_workers = num_workers
        self._serve_jobs = serve
        self._num_recipes = num_recipes
        self._processes: list[_Process] = []
        self._queue = JobQueue()
        self._clients: dict[Connection, int] = {}
        self._awaited: dict[int, int] = {}
        """Number of the job that a client waits for."""
        self._answers: dict[Key, bytes] = {}
        self._unwanted: set[Key] = set()
        """Jobs that run and were dropped."""
        self._is_lost = False
        self._lock = threading.Lock()
        self._new: list[Connection] = []
        self._num_clients = 0
        self._is_closed = False
        self._ear, self._mouth = Pipe(duplex=False)
        self._thread = threading.Thread(target=self._serve, name="worker pool", daemon=True)
        self._thread.start()

    @cached_property
    def here(self) -> PoolClient:
        """The client of this process."""
        return self.connect()

    def connect(self) -> PoolClient:
        """Return a new client, for another process; close it here when that has started."""
        ours, theirs = Pipe()
        with self._lock:
            self._new.append(ours)
            self._mouth.send_bytes(b"new")
        return PoolClient(theirs)

    def close(self) -> None:
        """End the processes; a job that runs has some time to end."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._mouth.send_bytes(b"end")
        self._thread.join()

    def _serve(self) -> None:
        """Hear clients and processes until the pool is closed."""
        while not self._is_closed:
            busy = {each.connection: each for each in self._processes if each.job is not None}
            heard: list[Any] = wait([self._ear, *self._clients, *busy])
            for connection in heard:
                if connection is self._ear:
                    self._let_in()
                elif connection in busy:
                    self._take_answer(busy[connection])
                else:
                    self._hear(connection)
            self._feed()
        self._end()

    def _let_in(self) -> None:
        self._ear.recv_bytes()
        with self._lock:
            new, self._new = self._new, []
        for connection in new:
            self._clients[connection] = self._num_clients
            self._num_clients += 1

    def _hear(self, connection: Connection) -> None:
        """Take in one message of a client, or its end."""
        client = self._clients[connection]
        try:
            what, number, *others = connection.recv()
        except (EOFError, OSError):
            self._forget(connection)
            return
        key = client, number
        if what == "submit":
            recipe, flop, order = others
            self._queue.add(QueuedJob(key, recipe, flop, order))
        elif what == "wait":
            self._awaited[client] = number
            if self._is_lost and key not in self._answers:
                self._answers[key] = LOST
            self._hand_over(connection)
        elif what == "stop":
            self._awaited.pop(client, None)
            self._say(connection, STOPPED)
        elif what == "look":
            is_there = bool(self._answers.get(key))
            self._say(connection, THERE if is_there else NOT_THERE)
        elif key in self._queue:
            self._queue.drop(key)
        elif self._answers.pop(key, None) is None and key in self._running():
            self._unwanted.add(key)

    def _forget(self, connection: Connection) -> None:
        """Drop all that a client has submitted."""
        client = self._clients.pop(connection)
        connection.close()
        self._awaited.pop(client, None)
        self._queue.drop_client(client)
        self._answers = {key: each for key, each in self._answers.items() if key[0] != client}
        self._unwanted |= {key for key in self._running() if key[0] == client}

    def _hand_over(self, connection: Connection) -> None:
        """Send a client the answer that it waits for, if it is there."""
        client = self._clients[connection]
        key = client, self._awaited.get(client, -1)
        if key in self._answers:
            del self._awaited[client]
            self._say(connection, self._answers.pop(key))

    @staticmethod
    def _say(connection: Connection, message: bytes) -> None:
        with contextlib.suppress(OSError):  # its end is heard
            connection.send_bytes(message)

    def _take_answer(self, process: _Process) -> None:
        """Take what a process sends back; where it has died, no job runs any more."""
        job, process.job = process.job, None
        try:
            answer = process.connection.recv_bytes()
        except (EOFError, OSError):
            answer, self._is_lost = LOST, True
            self._processes.remove(process)
        if job is not None and job.key not in self._unwanted:
            self._answers[job.key] = answer
        elif job is not None:
            self._unwanted.remove(job.key)
        for connection, client in list(self._clients.items()):
            if self._is_lost and client in self._awaited:
                self._answers.setdefault((client, self._awaited[client]), LOST)
            self._hand_over(connection)

    def _feed(self) -> None:
        """Hand out jobs while fewer are at work than may be."""
        while len(self._queue) and not self._is_lost and self._num_at_work() < self.num_workers:
            process = self._free_process()
            holders = Counter(recipe for each in self._processes for recipe in each.recipes)
            job = self._queue.pop(process.recipes, num_holders=holders)
            if job is not None:
                process.begin(job)

    def _running(self) -> set[Key]:
        return {each.job.key for each in self._processes if each.job is not None}

    def _num_at_work(self) -> int:
        return len(self._running()) + len(self._clients) - len(self._awaited)

    def _free_process(self) -> _Process:
        """Return who takes the next job: one that has made a worker for it, or a new one."""
        free = [each for each in self._processes if each.job is None]
        for each in free:
            if self._queue.has_any_of(each.recipes):
                return each
        if len(self._processes) == self.num_workers:
            return free[0]
        self._processes.append(_Process(self._num_recipes, self._serve_jobs))
        return self._processes[-1]

    def _end(self) -> None:
        for each in self._processes:
            with contextlib.suppress(OSError):
                each.connection.send_bytes(END)
        for each in self._processes:
            each.process.join(GRACE_S)
            if each.process.is_alive():
                each.process.kill()
                each.process.join()
            each.connection.close()
        for connection in self._clients:
            connection.close()
