"""Tables in text files, cell by cell: delimited text (csv, tsv) and one JSON object a line.

Nothing is guessed and no row is dropped: every row has the cells of the header or the file is
refused. A ``.csv`` file is quoted as in RFC 4180. A ``.tsv`` file is not quoted, as such files of
benchmarks are not: a lone quotation mark in one of its texts is part of the text. The setting
``quoting`` says otherwise where a file is written otherwise.
"""

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from fl.data.config import Quoting

DELIMITERS = {".csv": ",", ".tsv": "\t"}
"""Character between two cells, by the ending of the file."""
DEFAULT_QUOTING: dict[str, Quoting] = {".csv": "standard", ".tsv": "none"}
"""How cells are quoted where nothing is said, by the ending of the file."""

_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]*")
_TRUTH = {"true": True, "false": False}
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_DOUBLED = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')

Row = tuple[int, list[str]]
"""Number of the line that a row begins in, counted from 1, and its cells."""


def read_delimited(file: Path, *, suffix: str, quoting: Quoting | None) -> pd.DataFrame:
    """Read a csv or tsv file.

    Parameters
    ----------
    file
        UTF-8 text with a header, packed by gzip where its name ends in ``.gz``.
    suffix
        ``.csv`` or ``.tsv``.
    quoting
        How its cells are quoted; after the suffix when ``None``.

    Returns
    -------
    One column for each name in the header: numbers or truth values where every cell that is not
    empty is one, else texts; ``None`` where a cell is empty.

    Raises
    ------
    ValueError
        One line that says what in the file cannot be read.
    """
    text = _read_text(file)
    kind = quoting or DEFAULT_QUOTING[suffix]
    rows = (_quoted_rows if kind == "standard" else _plain_rows)(text, DELIMITERS[suffix])
    _, header = next(rows, (1, []))
    if not header:
        msg = "it has no header line"
        raise ValueError(msg)
    _check_header(header, quoting=kind)
    columns: list[list[str]] = [[] for _ in header]
    for line, cells in rows:
        if len(cells) != len(header):
            msg = (
                f"line {line} has {_count(len(cells))}, the header {len(header)}; "
                f"{_WHY_NOT[kind].format(delimiter=_NAMES[DELIMITERS[suffix]])}"
            )
            raise ValueError(msg)
        if suffix == ".tsv" and kind == "standard":
            _check_no_break(cells, line)
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell)
    if quoting is None and kind == "none":
        _check_not_quoted(columns)
    return pd.DataFrame(
        {name: _typed(cells) for name, cells in zip(header, columns, strict=True)}, dtype=object
    )


def read_json_lines(file: Path) -> pd.DataFrame:
    """Read one JSON object a line, UTF-8; a key that an object lacks is an empty cell.

    Raises
    ------
    ValueError
        One line that says what in the file cannot be read.
    """
    rows: list[dict[str, Any]] = []
    for line, text in enumerate(_read_text(file).split("\n"), start=1):
        if text.strip():
            rows.append(_json_object(text, line))
    names = dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame({name: [row.get(name) for row in rows] for name in names}, dtype=object)


_NAMES = {",": "a comma", "\t": "a tab"}
_WHY_NOT = {
    "none": "without quoting a cell must not hold {delimiter} or a line end",
    "standard": "a cell that holds {delimiter} or a line end must be in quotation marks",
}


def _count(num_cells: int) -> str:
    return f"{num_cells} cell" if num_cells == 1 else f"{num_cells} cells"


def _read_text(file: Path) -> str:
    data = gzip.decompress(file.read_bytes()) if file.suffix.lower() == ".gz" else file.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"must be UTF-8 text, got byte 0x{data[error.start]:02x} in line {line}"
        raise ValueError(msg) from None


def _plain_rows(text: str, delimiter: str) -> Iterator[Row]:
    """Split at every delimiter and line end; blank lines are no rows."""
    for line, content in enumerate(text.split("\n"), start=1):
        whole = content.removesuffix("\r")
        if "\r" in whole:
            msg = f"line {line} holds a carriage return: a cell must not hold a line end"
            raise ValueError(msg)
        if whole:
            yield line, whole.split(delimiter)


def _quoted_rows(text: str, delimiter: str) -> Iterator[Row]:
    """Read as RFC 4180 says, strictly; blank lines are no rows."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            cells = _with_any_length(lambda: next(reader, None))
        except csv.Error as error:
            msg = (
                f"the row that begins in line {line} is not quoted as a table is ({error}): write "
                "a quotation mark within a quoted cell twice, or set data.quoting to none"
            )
            raise ValueError(msg) from None
        if cells is None:
            return
        if cells:
            yield line, cells
        line = reader.line_num + 1


def _with_any_length(read: Callable[[], list[str] | None]) -> list[str] | None:
    """Read one row whose cells may be longer than the limit of the module ``csv``."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        return read()
    finally:
        csv.field_size_limit(limit)


def _check_header(header: list[str], *, quoting: Quoting) -> None:
    repeated = {name for name in header if name and header.count(name) > 1}
    if repeated:
        msg = f"the names of its columns must differ, got {min(repeated)!r} more than once"
        raise ValueError(msg)
    if quoting == "none" and all(_QUOTED.fullmatch(name) for name in header):
        msg = "its header is in quotation marks: set data.quoting to standard"
        raise ValueError(msg)


def _check_no_break(cells: list[str], line: int) -> None:
    """Refuse what a lone quotation mark does to a tsv: rows vanish in one cell."""
    for cell in cells:
        if "\t" in cell or "\n" in cell or "\r" in cell:
            msg = (
                f"the row that begins in line {line} has a cell with a tab or a line end; if the "
                "quotation marks belong to the texts, set data.quoting to none"
            )
            raise ValueError(msg)


def _check_not_quoted(columns: list[list[str]]) -> None:
    """Refuse a table that looks as if it were quoted: every cell with a mark is, one has two."""
    marked = [cell for column in columns for cell in column if '"' in cell]
    if all(map(_QUOTED.fullmatch, marked)) and any(map(_DOUBLED.fullmatch, marked)):
        msg = (
            "its cells seem to be quoted (marks within quotation marks stand twice): set "
            "data.quoting to standard, or to none if the marks belong to the texts"
        )
        raise ValueError(msg)


def _typed(cells: list[str]) -> list[Any]:
    """Return numbers or truth values where all cells that are not empty are; empty is ``None``."""
    filled = [cell for cell in cells if cell]
    convert: Callable[[str], Any] = str
    if all(_WHOLE.fullmatch(cell) for cell in filled):
        convert = int
    elif all(_WHOLE.fullmatch(cell) or _DECIMAL.fullmatch(cell) for cell in filled):
        convert = float
    elif all(cell.lower() in _TRUTH for cell in filled):
        convert = _truth
    return [convert(cell) if cell else None for cell in cells]


def _truth(cell: str) -> bool:
    return _TRUTH[cell.lower()]


def _json_object(text: str, line: int) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except RecursionError:
        msg = f"line {line} is nested too deep"
        raise ValueError(msg) from None
    except json.JSONDecodeError as error:
        msg = f"line {line} is not JSON: {error.msg} at character {error.colno}"
        raise ValueError(msg) from None
    except ValueError as error:  # a whole number of more digits than Python converts
        msg = f"line {line}: {error}"
        raise ValueError(msg) from None
    if not isinstance(row, dict):
        msg = f"line {line} must hold a JSON object, got {text[:40]!r}"
        raise ValueError(msg)  # noqa: TRY004 -- what is wrong is the file
    return row
