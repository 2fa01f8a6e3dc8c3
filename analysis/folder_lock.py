"""The lock of a result folder: one process writes to it at a time, and others can tell which.

The lock is an advisory lock (``flock``) on the file ``.airtune/lock``. The operating system
releases it when its holder ends, however it ends: a killed run leaves the file behind, but not the
lock. The file holds the process id, the host and the time, so that a refusal can name the holder.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from analysis.errors import FolderInUseError, FolderLostError, ResultError

PRIVATE = ".airtune"
"""Folder inside a result folder that holds what only programs read."""
LOCK = f"{PRIVATE}/lock"

_MAX_HOLDER_BYTES = 1000


class FolderLock:
    """The lock of one result folder, held from construction to :meth:`release`.

    Parameters
    ----------
    folder
        An existing folder. ``.airtune/lock`` is made in it.
    purpose
        What the holder does, in one word, for the messages of others.

    Raises
    ------
    FolderInUseError
        If another process holds the lock.
    ResultError
        If the file system has no locks.
    OSError
        If the lock file cannot be made.
    """

    def __init__(self, folder: Path, *, purpose: str) -> None:
        self._folder = folder
        self._path = folder / LOCK
        self._path.parent.mkdir(exist_ok=True)
        if self._path.parent.is_symlink():
            msg = f"{self._path.parent}: is a link, nothing is written through it"
            raise ResultError(msg)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(self._path, flags, 0o666), "r+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_holder(self._path)
            self._file.close()
            msg = f"{folder}: in use: {holder}"
            raise FolderInUseError(msg) from None
        except OSError as error:
            self._file.close()
            msg = f"{folder}: cannot be locked on this file system: {error.strerror or error}"
            raise ResultError(msg) from None
        with contextlib.suppress(OSError):  # on a full disk the lock holds without its text
            self._file.truncate(0)
            self._file.write(_describe_this_process(purpose))

    def check(self) -> None:
        """Check that the folder is still the one that was locked.

        Raises
        ------
        FolderLostError
            If it was removed, moved or replaced.
        """
        try:
            is_same = os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            is_same = False
        if not is_same:
            raise FolderLostError(lost_message(self._folder))

    def release(self) -> None:
        """Let others write to the folder. The file stays: removing it could break a new lock."""
        with contextlib.suppress(OSError):
            self._file.truncate(0)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


@contextlib.contextmanager
def locked_if_free(folder: Path, *, purpose: str) -> Iterator[str | None]:
    """Hold the lock of a folder if nobody else does.

    Yields
    ------
    str or None
        ``None`` with the lock; otherwise who has it, in words.
    """
    try:
        lock = FolderLock(folder, purpose=purpose)
    except FolderInUseError:
        yield _read_holder(folder / LOCK)
        return
    with lock:
        yield None


def holder_of(folder: Path) -> str | None:
    """Return who writes to a folder, in words; ``None`` when nobody does. Changes nothing."""
    path = folder / LOCK
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENOLCK, errno.EOPNOTSUPP):
            return None
        raise
    return None


def lost_message(folder: Path) -> str:
    """State that a folder is no longer the one that this process made."""
    return f"{folder}: no longer the folder of this run: it was removed, moved or replaced"


def _describe_this_process(purpose: str) -> bytes:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    words = {"purpose": purpose, "pid": os.getpid(), "host": socket.gethostname(), "since": now}
    return json.dumps(words).encode()


def _read_holder(path: Path) -> str:
    """Put the text of a held lock in words."""
    try:
        with path.open("rb") as file:
            words = json.loads(file.read(_MAX_HOLDER_BYTES))
        return (
            f"process {words['pid']} on {words['host']} ({words['purpose']}) writes to it "
            f"since {words['since']}"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return "another process writes to it"
