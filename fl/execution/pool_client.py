"""One end of the pool of worker processes: a run submits jobs, and waits for what it needs."""

import contextlib
from itertools import count
from multiprocessing.connection import Connection


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

    def submit(self, order: bytes, *, recipe: str, flop: int) -> int:
        """Let a job run when a process is free; return the number by which it is asked for."""
        number = next(self._numbers)
        self._say("submit", number, recipe, flop, order)
        return number

    def result(self, number: int) -> bytes:
        """Wait for the answer to a job, once."""
        self._say("wait", number)
        try:
            answer: bytes = self._connection.recv_bytes()
        except (EOFError, OSError):
            raise WorkerDiedError from None
        except BaseException:  # interrupted: the answer that is on its way is nobody's
            self.close()
            raise
        if not answer:
            raise WorkerDiedError
        return answer

    def drop(self, number: int) -> None:
        """Let a job, or its answer, go; nobody will ask for it."""
        with contextlib.suppress(WorkerDiedError):
            self._say("drop", number)

    def close(self) -> None:
        """Let everything go that was submitted here."""
        self._connection.close()

    def _say(self, *message: object) -> None:
        try:
            self._connection.send(message)
        except OSError:
            raise WorkerDiedError from None
