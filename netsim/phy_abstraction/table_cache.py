"""Tables of link adaptation, computed once on a machine and kept in the user's cache folder.

A file holds one table. Its name is a digest of the settings that the table follows from, of the
source code that computes it, and of the versions of Python, numpy and scipy: a file is never out of
date, only no longer asked for. What is read is what was computed, to the last bit, so results do
not depend on whether there is a file.

The folder is the one that the environment variable :data:`FOLDER_VARIABLE` names, else ``tables``
in ``$AIRTUNE_CACHE``, else ``airtune/tables`` in the user's cache folder (XDG). With the value
``off`` every process computes its tables. The folder can be deleted at any time. A file that cannot
be read is replaced, and where none can be written nothing is kept; neither is an error.
"""

import hashlib
import os
import platform
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import scipy
from jaxtyping import Shaped

FOLDER_VARIABLE = "AIRTUNE_TABLES"
"""Environment variable: folder of the tables, or ``off``."""

MOST_BYTES = 200_000_000
"""Size of all files that are kept; those written first go first. The largest have some MB."""

SOURCES = ("*.py", "channel", "config", "phy", "phy_abstraction", "engines/air_setup.py")
"""Files and folders of this package that decide what the tables hold."""

Table = Shaped[np.ndarray, "..."]


class Kept(Protocol):
    """Gives a table by its name, computed only if it is not there."""

    def __call__(self, name: str, compute: Callable[[], Table]) -> Table:
        """Return the table; ``compute`` gives an array of numbers."""
        ...


def computed(name: str, compute: Callable[[], Table]) -> Table:
    """Return a table that is kept nowhere."""
    del name
    return compute()


@dataclass(frozen=True)
class KeptTables:
    """Tables that are kept in the cache folder."""

    settings: tuple[object, ...]
    """All that the tables follow from besides the code.

    The ``repr`` of each tells all of it, as that of numbers, texts and dataclasses of them does.
    """

    def __call__(self, name: str, compute: Callable[[], Table]) -> Table:
        """Return a table, see :class:`Kept`."""
        folder = cache_folder()
        if folder is None:
            return compute()
        digest = hashlib.sha256(_code_digest())
        digest.update(repr((name, self.settings)).encode())
        path = folder / f"{name}-{digest.hexdigest()[:32]}.npz"
        table = _read(path)
        if table is None:
            table = compute()
            _write(path, table)
        return table


def cache_folder() -> Path | None:
    """Return the folder of the tables, ``None`` where they are not kept."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named == "off":
        return None
    try:
        if named:
            return Path(named).expanduser()
        if chosen := os.environ.get("AIRTUNE_CACHE"):
            return Path(chosen).expanduser() / "tables"
        base = os.environ.get("XDG_CACHE_HOME")
        return (Path(base) if base else Path.home() / ".cache") / "airtune" / "tables"
    except RuntimeError:  # a user without a home folder
        return None


@cache
def _code_digest() -> bytes:
    """Return the digest of the code, its tables of standards, and what it runs on."""
    versions = (sys.version, np.__version__, scipy.__version__, platform.machine())
    digest = hashlib.sha256(repr(versions).encode())
    package = Path(__file__).parents[1]
    for source in SOURCES:
        place = package / source
        for file in sorted(place.rglob("*") if place.is_dir() else package.glob(source)):
            if file.suffix in (".py", ".csv"):
                digest.update(f"{file.relative_to(package).as_posix()} ".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.digest()


def _read(path: Path) -> Table | None:
    """Return the table of a file; ``None`` if there is none or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file["table"])
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile):
        return None  # zipfile calls an unknown compression, as damage makes it, not implemented


def _write(path: Path, table: Table) -> None:
    """Write a file at once or not at all."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix="part-", suffix=".npz")
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, allow_pickle=False, table=table)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        _forget_first(path.parent)
    except OSError:  # no right, no space: the table is used all the same
        return


def _forget_first(folder: Path) -> None:
    """Delete the tables written first, beyond :data:`MOST_BYTES`."""
    files = [(file.stat(), file) for file in folder.glob("*-*.npz")]
    left = sum(stat.st_size for stat, _ in files) - MOST_BYTES
    for stat, file in sorted(files, key=lambda each: each[0].st_mtime_ns):
        if left <= 0:
            break
        file.unlink(missing_ok=True)
        left -= stat.st_size
