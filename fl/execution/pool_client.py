"""One end of the pool of worker processes: a run submits jobs, and waits for what it needs."""

import contextlib
from itertools import count
from multiprocessing.connection import Connection

from fl.interrupts import interrupts_held

STOPPED = b"stopped"
"""What a pool says where a client no longer waits; no answer to a job begins so."""
THERE, NOT_THERE = b"there", b"not there"
"""What it says of an answer."""


class WorkerDiedError(RuntimeError):
    """A worker process has ended without a word: it was killed, or memory is short."""


class PoolClient:
    """What one run has of a pool. It may be handed to a process that is started with it.

    A run that does not wait is taken to compute: its process counts as one of the pool's. Only its
    waiting can be interrupted: a message is sent, or taken in, as a whole.

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
        self._answers: dict[int, bytes] = {}
        """Those that have come, until their jobs are dropped."""

    def submit(self, order: bytes, *, recipe: str, flop: int) -> int:
        """Let a job run when a process is free; return the number by which it is asked for."""
        number = next(self._numbers)
        self._say("submit", number, recipe, flop, order)
        return number

    def result(self, number: int) -> bytes:
        """Wait for the answer to a job; it is kept until the job is dropped."""
        self._stop_waiting()
        if number in self._answers:
            return self._answers[number]
        with interrupts_held():
            self._say("wait", number)
            self._awaited = number
        with contextlib.suppress(OSError):  # what is read next tells of it
            self._connection.poll(None)  # interrupted here, nothing has been read
        with interrupts_held():
            answer = self._receive()
            self._awaited = None
            if not answer:
                raise WorkerDiedError
            self._answers[number] = answer
        return answer

    def has_answer(self, number: int) -> bool:
        """Return whether the answer to a job is there; after an interrupt, too."""
        try:
            self._stop_waiting()
            if number in self._answers:
                return True
            with interrupts_held():
                self._say("look", number)
                return self._receive() == THERE
        except WorkerDiedError:
            return False

    def _stop_waiting(self) -> None:
        """Take what comes for a job that was waited for when there was an interrupt."""
        if self._awaited is None:
            return
        with interrupts_held():
            self._say("stop", self._awaited)
            while (answer := self._receive()) != STOPPED:
                if answer:  # else it will never come
                    self._answers[self._awaited] = answer
            self._awaited = None

    def _receive(self) -> bytes:
        try:
            return self._connection.recv_bytes()
        except (EOFError, OSError):
            raise WorkerDiedError from None
        except BaseException:  # the answer that is on its way is nobody's
            self.close()
            raise

    def drop(self, number: int) -> None:
        """Let a job, or its answer, go; nobody will ask for it."""
        with contextlib.suppress(WorkerDiedError):
            self._stop_waiting()
            if self._answers.pop(number, None) is None:
                self._say("drop", number)

    def close(self) -> None:
        """Let everything go that was submitted here."""
        self._connection.close()

    def _say(self, *message: object) -> None:
        try:
            with interrupts_held():  # half a message would leave the pool waiting for the rest
                self._connection.send(message)
        except OSError:
            raise WorkerDiedError from None
