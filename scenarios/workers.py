"""Tasks on several processes: what they say arrives as it happens, a dead process is noticed.

The same task gives the same rows in any process, so the number of workers never shows in a result.
"""

import contextlib
import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, NoReturn, Protocol

from scenarios.errors import RunFailedError

GRACE_S = 10.0
"""Time that a process has to close its files when it is told to end."""


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said of task ``index``."""

    index: int
    kind: str
    """``event`` while it goes on; ``result`` or ``failure`` (text of the traceback) at its end."""
    content: Any
    summary: str = ""
    """Of a ``failure``: the error and what it says, on one line."""
    is_fatal: bool = False
    """Of a ``failure``: whether it would meet every other task, too (a full disk, say)."""
    host_s: float = 0.0
    """Of a ``failure``: how long the task had run."""


Emit = Callable[[object], None]
Task = Callable[..., object]
"""Called with an argument, an :data:`Emit`, and ``pool`` where there is one."""


class PoolEnd(Protocol):
    """What one process has of a pool; see :class:`fl.execution.pool_client.PoolClient`."""

    def close(self) -> None:
        """Let go of it in this process."""


class Pool(Protocol):
    """What tasks share: :class:`fl.execution.worker_pool.WorkerPool`, or a cluster."""

    @property
    def here(self) -> PoolEnd:
        """The end of this process."""

    def connect(self) -> PoolEnd:
        """Return an end for another process; it is closed here when that has started."""

    def close(self) -> None:
        """End what the tasks shared."""


def run_tasks(
    task: Task,
    arguments: Sequence[Any],
    *,
    num_workers: int,
    on_message: Callable[[Message], None],
    pool: Pool | None = None,
) -> None:
    """Run ``task(argument, emit)`` for every argument and report what happens, live.

    With one worker the tasks run in this process, in order. Otherwise every free worker process
    takes the next one. An exception of a task is a ``failure`` message and the others go on; an
    exception here (an interrupt, say) ends the processes. Of a pool that is given, every task gets
    the end of its process as ``pool``.

    Raises
    ------
    RunFailedError
        If a worker process dies without a word (killed, or out of memory).
    """
    if num_workers == 1 or len(arguments) == 1:
        called = task if pool is None else partial(task, pool=pool.here)
        for index, argument in enumerate(arguments):
            _attempt(called, index, argument, on_message)
    else:
        _run_apart(task, arguments, min(num_workers, len(arguments)), on_message, pool)


def _attempt(task: Task, index: int, argument: object, say: Callable[[Message], None]) -> None:
    started_s = time.perf_counter()
    try:
        result = task(argument, lambda event: say(Message(index, "event", event)))
    except (Exception, SystemExit) as error:  # a user's own code may call sys.exit
        is_fatal = isinstance(error, RunFailedError)
        notes = getattr(error, "__notes__", [])
        lines = [str(error), *notes] if is_fatal else traceback.format_exception_only(error)
        summary = " ".join(" ".join(lines).split())
        host_s = time.perf_counter() - started_s
        say(Message(index, "failure", traceback.format_exc(), summary, is_fatal, host_s))
    else:
        say(Message(index, "result", result))


def _run_apart(
    task: Task,
    arguments: Sequence[Any],
    num_workers: int,
    on_message: Callable[[Message], None],
    pool: Pool | None,
) -> None:
    # spawn: a forked child would inherit the state of numerical thread pools
    context = multiprocessing.get_context("spawn")
    processes: dict[Connection, BaseProcess] = {}
    waiting = list(enumerate(arguments))[::-1]
    running: dict[Connection, int] = {}
    try:
        for _ in range(num_workers):
            ours, theirs = context.Pipe()
            of_pool = None if pool is None else pool.connect()
            process: BaseProcess = context.Process(
                target=_serve, args=(task, theirs, of_pool), daemon=True
            )
            process.start()
            theirs.close()
            if of_pool is not None:
                of_pool.close()
            processes[ours] = process
            _hand_out(ours, waiting, running, processes)
        while running:
            for connection in wait(list(running)):
                message = _receive(connection, processes, running)  # type: ignore[arg-type]
                on_message(message)
                if message.kind != "event":
                    del running[connection]  # type: ignore[arg-type]
                    _hand_out(connection, waiting, running, processes)  # type: ignore[arg-type]
    finally:
        _end(processes)


def _end(processes: dict[Connection, BaseProcess]) -> None:
    """Let every process close its files, then end those that take too long."""
    for process in processes.values():
        process.terminate()
    deadline_s = time.monotonic() + GRACE_S
    for connection, process in processes.items():
        process.join(max(0.0, deadline_s - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
        connection.close()


def _hand_out(
    connection: Connection,
    waiting: list[tuple[int, Any]],
    running: dict[Connection, int],
    processes: dict[Connection, BaseProcess],
) -> None:
    """Give a process the next task, or let it end."""
    if not waiting:
        with contextlib.suppress(OSError):
            connection.send(None)
        return
    index, argument = waiting.pop()
    running[connection] = index
    try:
        connection.send((index, argument))
    except OSError:
        raise _death(processes[connection], index) from None


def _receive(
    connection: Connection, processes: dict[Connection, BaseProcess], running: dict[Connection, int]
) -> Message:
    try:
        message: Message = connection.recv()
    except (EOFError, OSError):
        raise _death(processes[connection], running[connection]) from None
    return message


def _death(process: BaseProcess, index: int) -> RunFailedError:
    """State how the process of a task ended."""
    process.join(GRACE_S)
    return RunFailedError(
        f"worker process of task {index} died (exit code {process.exitcode}); is memory short?"
    )


def _serve(task: Task, connection: Connection, of_pool: PoolEnd | None) -> None:
    # an interrupt at the keyboard reaches the whole process group; the parent decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    called = task if of_pool is None else partial(task, pool=of_pool)
    try:
        while (given := connection.recv()) is not None:
            index, argument = given
            _attempt(called, index, argument, connection.send)
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        pass  # the parent is gone, or wants this process to end
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is left to unwind


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Unwind the task so that it closes its files; a second signal does not disturb that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
