"""Rows of a csv file that a user wrote, with the numbers of their lines for messages.

Errors are one line without the name of the file, which the caller puts in front.
"""

import csv
import difflib
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

MAX_SHOWN = 40
"""Longest cell that a message repeats [characters]."""


def read_rows(
    path: str, *, max_rows: int, things: str = "rows"
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and the rows below it with the numbers of their lines.

    Lines that begin with ``#`` are remarks; they and rows without any text are left out. Cells have
    no blanks at their ends.

    Parameters
    ----------
    path
        Of the file, UTF-8 with or without a byte order mark.
    max_rows
        Most rows below the header.
    things
        What a row is, in the plural, for the message about their number.

    Raises
    ------
    ValueError
        If the file cannot be read, is no such text, or has too few or too many rows.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = f"cannot be read: {error.strerror or error}"
        raise ValueError(msg) from None
    except UnicodeDecodeError:
        msg = "is not UTF-8 text"
        raise ValueError(msg) from None
    if "\0" in text:
        msg = "is not text, it holds null characters"
        raise ValueError(msg)
    kept = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if not line.startswith("#")
    ]
    reader = csv.reader(io.StringIO("\n".join(line for _, line in kept)), strict=True)
    try:
        cells = [(kept[reader.line_num - 1][0], [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        msg = f"line {kept[max(reader.line_num, 1) - 1][0]}: {error}"
        raise ValueError(msg) from None
    rows = [(number, row) for number, row in cells if any(row)]
    if not 2 <= len(rows) <= max_rows + 1:
        msg = f"must have a header and 1 to {max_rows} {things}, got {len(rows)} lines"
        raise ValueError(msg)
    return rows[0][1], rows[1:]


def header_faults(
    header: Sequence[str], *, known: Sequence[str], needed: Sequence[str]
) -> Iterator[str]:
    """Find columns of a header that are unknown, there twice, or missing."""
    first = header[0][:MAX_SHOWN] if len(header) == 1 else ""
    if any(mark in first for mark in ";\t"):
        yield f"must have commas between its cells, got {first!r}"
    for column in header:
        if column not in known:
            close = difflib.get_close_matches(column[:100], known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
            yield f"unknown column {column[:MAX_SHOWN]!r}; {hint}"
    if len(set(header)) < len(header):
        yield "must not have a column twice"
    missing = [column for column in needed if column not in header]
    if missing:
        yield f"lacks the column {', '.join(missing)}"


def by_column(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """Return the cells of a row that are not empty, by column.

    Raises
    ------
    ValueError
        If there are more or fewer cells than columns.
    """
    if len(cells) != len(header):
        msg = f"must have {len(header)} cells, got {len(cells)}"
        raise ValueError(msg)
    return {column: cell for column, cell in zip(header, cells, strict=True) if cell}


def number(column: str, cell: str) -> float:
    """Return the finite number of a cell.

    Raises
    ------
    ValueError
        With column and cell, if it is none.
    """
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"{column}: must be a number, got {cell[:MAX_SHOWN]!r}"
        raise ValueError(msg)
    return value
