"""One end of the pool of worker processes: a run submits jobs, and waits for what it needs."""

import contextlib
from itertools import count
from multiprocessing.connection import Connection

STOPPED = b"stopped"
"""What a pool says where a client no longer waits; no answer to a job begins so."""
THERE, NOT_THERE = b"there", b"not there"
"""What it says of an answer."""


class WorkerDiedError(RuntimeError):
    """A worker process has ended without a word: it was killed, or memory is short."""


class PoolClient:
    """What one run has of a pool. It may be handed to a process that is started with it.

    A run that does not wait is taken to compute: its process counts as one of the pool's.

    Parameters
    ----------
    connection
        To the pool; from :meth:`fl.execution.worker_pool.WorkerPool.connect`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._numbers = count()
        self._awaited: int | None = None
        """The job whose answer may come although nobody waits for it any more."""
        self._early: dict[int, bytes] = {}
        """Answers that came so."""

    def submit(self, order: bytes, *, recipe: str, flop: int) -> int:
        """Let a job run when a process is free; return the number by which it is asked for."""
        number = next(self._numbers)
        self._say("submit", number, recipe, flop, order)
        return number

    def result(self, number: int) -> bytes:
        """Wait for the answer to a job, once; after an interrupt it may be asked for again."""
        self._stop_waiting()
        if number in self._early:
            return self._early.pop(number)
        self._say("wait", number)
        self._awaited = number
        with contextlib.suppress(OSError):  # what is read next tells of it
            self._connection.poll(None)  # interrupted here, nothing has been read
        answer = self._receive()
        self._awaited = None
        if not answer:
            raise WorkerDiedError
        return answer

    def has_answer(self, number: int) -> bool:
        """Return whether the answer to a job is there; after an interrupt, too."""
        try:
            self._stop_waiting()
            if number in self._early:
                return True
            self._say("look", number)
            return self._receive() == THERE
        except WorkerDiedError:
            return False

    def _stop_waiting(self) -> None:
        """Take what comes for a job that was waited for when there was an interrupt."""
        if self._awaited is None:
            return
        self._say("stop", self._awaited)
        while (answer := self._receive()) != STOPPED:
            self._early[self._awaited] = answer
        self._awaited = None

    def _receive(self) -> bytes:
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            raise WorkerDiedError from None
        except BaseException:  # interrupted: the answer that is on its way is nobody's
            self.close()
            raise

    def drop(self, number: int) -> None:
        """Let a job, or its answer, go; nobody will ask for it."""
        with contextlib.suppress(WorkerDiedError):
            self._stop_waiting()
            self._say("drop", number)
        self._early.pop(number, None)

    def close(self) -> None:
        """Let everything go that was submitted here."""
        self._connection.close()

    def _say(self, *message: object) -> None:
        try:
            self._connection.send(message)
        except OSError:
            raise WorkerDiedError from None
