"""What lies in a result store: how much, whether it is whole, and what goes when it is too much."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fl.execution.store_file import DamagedEntryError, read_entry

_ENTRY = re.compile(r"[0-9a-f]{64}\.safetensors")
_FOLDER = re.compile(r"[0-9a-f]{2}")
FULL_FRACTION = 0.9
"""Part of its limit that a store is brought down to: it is not looked through at every result."""
DRAFT_AGE_S = 3600.0
"""Age from which on a draft is one of a process that was killed [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """How much a store holds."""

    num_entries: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    num_bytes: int
    used_at_s: float


def facts(folder: Path) -> StoreFacts:
    """Return how many results a store holds and how many bytes they take; none where none is."""
    files = list(_files(folder))
    return StoreFacts(num_entries=len(files), num_bytes=sum(file.num_bytes for file in files))


def evict(folder: Path, *, max_bytes: int) -> int:
    """Remove the results that were read or written longest ago, where there are too many.

    Parameters
    ----------
    folder
        The store.
    max_bytes
        Most bytes of a store; one that is above it is brought down to :data:`FULL_FRACTION` of it.

    Returns
    -------
    int
        Bytes that are left.
    """
    files = sorted(_files(folder), key=lambda file: file.used_at_s)
    left = sum(file.num_bytes for file in files)
    if left <= max_bytes:
        return left
    for file in files:
        if left <= FULL_FRACTION * max_bytes:
            break
        file.path.unlink(missing_ok=True)
        left -= file.num_bytes
    return left


def verify(folder: Path) -> tuple[int, list[str]]:
    """Read every entry; remove those that are damaged.

    Returns
    -------
    num_entries : int
        How many are whole.
    problems : list of str
        One line for each that was not.
    """
    num_entries, problems = 0, []
    for file in _files(folder):
        try:
            read_entry(file.path)
        except FileNotFoundError:  # evicted meanwhile
            continue
        except DamagedEntryError as error:
            problems.append(str(error))
            file.path.unlink(missing_ok=True)
        else:
            num_entries += 1
    return num_entries, problems


def clear(folder: Path) -> StoreFacts:
    """Remove all results, and drafts of processes that were killed; return what there was.

    Nothing else in the folder is touched.
    """
    found = facts(folder)
    for file in _files(folder):
        file.path.unlink(missing_ok=True)
    for draft in folder.glob("??/*.part"):
        if time.time() - draft.stat().st_mtime > DRAFT_AGE_S:
            draft.unlink(missing_ok=True)
    return found


def _files(folder: Path) -> Iterator[_File]:
    """Yield what by its name is a result."""
    if not folder.is_dir():
        return
    for inner in sorted(folder.iterdir()):
        if not _FOLDER.fullmatch(inner.name) or not inner.is_dir():
            continue
        for path in inner.iterdir():
            if not _ENTRY.fullmatch(path.name):
                continue
            try:
                stat = path.stat()
            except FileNotFoundError:  # evicted meanwhile
                continue
            yield _File(path, stat.st_size, stat.st_mtime)
