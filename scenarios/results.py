"""The rows of a run: CSV files that are appended and flushed every round.

A killed run leaves readable files: a row is on disk as soon as its round is over.
"""

import contextlib
import csv
import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from analysis.folder_lock import lost_message
from analysis.text_safety import csv_text
from scenarios.errors import ResultFolderError

_PLAIN = frozenset({int, float, type(None)})


class RowWriter:
    """One CSV file of one row type; the header comes from its fields, of which it has at least two.

    ``marks`` are further columns, with the one value that each has in every row.
    """

    def __init__(self, path: Path, row_type: type, *, marks: Mapping[str, str]) -> None:
        self._path = path
        self._file: TextIO = path.open("x", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        names = [field.name for field in dataclasses.fields(row_type)]
        self._values: Callable[[object], tuple[object, ...]] = attrgetter(*names)
        self._marks = [_cell(value) for value in marks.values()]
        self._writer.writerow([*names, *marks])
        self._file.flush()

    def write(self, rows: Iterable[object]) -> None:
        """Append rows and hand them to the operating system.

        Raises
        ------
        ResultFolderError
            If the file cannot be written, or is no longer where it was made.
        """
        self._check_place()
        with writing(self._path):
            self._writer.writerows(map(self._cells, rows))
            self._file.flush()

    def _cells(self, row: object) -> list[object]:
        values = self._values(row)
        # most are of these types, which the writer of csv turns into text like _cell
        cells = [each if type(each) in _PLAIN else _cell(each) for each in values]
        return cells + self._marks

    def close(self) -> None:
        """Close the file."""
        with writing(self._path):
            self._file.close()

    def _check_place(self) -> None:
        """Refuse to go on with a file that was removed, moved or replaced: nobody would see it."""
        try:
            is_same = os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            is_same = False
        if not is_same:
            raise ResultFolderError(lost_message(self._path.parent))


class RunFolder:
    """The CSV files of one run (variant under one seed), open while it lasts.

    Parameters
    ----------
    path
        ``<result folder>/<variant>/seed<k>``; the result folder exists, the rest is made here.
    row_types
        Names of the files, without ending, with the type of their rows.
    marks
        By file, further columns with the value that stands in every row.

    Raises
    ------
    ResultFolderError
        If a folder or file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        row_types: Mapping[str, type],
        *,
        marks: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.path = path
        self.host_write_s = 0.0
        """Host seconds spent in writing rows."""
        with writing(path):
            path.parent.mkdir(exist_ok=True)
            path.mkdir()
            self._writers = {
                name: RowWriter(path / f"{name}.csv", kind, marks=(marks or {}).get(name, {}))
                for name, kind in row_types.items()
            }

    def write(self, name: str, rows: Iterable[object]) -> None:
        """Append rows to ``<name>.csv``."""
        host_started_s = time.perf_counter()
        self._writers[name].write(rows)
        self.host_write_s += time.perf_counter() - host_started_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        failures = []
        for writer in self._writers.values():
            try:
                writer.close()
            except ResultFolderError as failure:
                failures.append(failure)
        if failures and error is None:
            raise failures[0]


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write inside the block into one line.

    Raises
    ------
    ResultFolderError
        Instead of an ``OSError``: names the file and says why it cannot be written.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or path
        msg = f"{where}: cannot be written: {error.strerror or error}"
        raise ResultFolderError(msg) from error


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    return _text(value) if isinstance(value, str) else value


@lru_cache(maxsize=1024)
def _text(value: str) -> str:
    """Return the text of a cell; few differ."""
    return csv_text(value)
