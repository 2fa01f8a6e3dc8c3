"""Tables of device classes: the built-in one beside this module, and files of a user's own."""

import csv
import difflib
import io
import math
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from annotated_types import Ge, Gt, Le

from fl.clients.device_class import DeviceClass, DeviceConfig, DeviceFigures

NAME = "name"
_COLUMNS = {item.name: item.default is MISSING for item in fields(DeviceConfig)}
"""Columns of a user's table beside the name, and whether each is needed."""
_SIGNS: dict[type, tuple[str, str]] = {Ge: (">=", "ge"), Gt: (">", "gt"), Le: ("<=", "le")}
"""How a bound is written, and the attribute that holds it."""
MAX_CLASSES = 10_000
"""Most rows of a table (our choice)."""


def _numbers_of(row: Mapping[str, str], columns: Iterable[str]) -> dict[str, float]:
    """Return the numbers of a row; empty cells are left out.

    Raises
    ------
    ValueError
        With column, rule and value of a cell that is no number.
    """
    return {name: _number(name, row[name]) for name in columns if row.get(name, "").strip()}


def _number(name: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"{name}: must be a number, got {cell[:40]!r}"
        raise ValueError(msg)
    return value


def _built_in() -> dict[str, DeviceClass]:
    """Return the classes of the table beside this module, by name, in its order."""
    path = Path(__file__).with_name("device_classes.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {
        row[NAME]: DeviceClass(
            name=row[NAME],
            summary=row["summary"],
            source=row["source"],
            **_numbers_of(row, [item.name for item in fields(DeviceFigures)]),
        )
        for row in rows
    }


DEVICES: dict[str, DeviceClass] = _built_in()
"""Built-in classes by name, from slow phones to fast boards and laptops."""


def read_device_file(path: str) -> dict[str, DeviceConfig]:
    """Read the classes of a csv file, by name, in its order.

    The columns are ``name`` and the keys of a class in a scenario; those that a class may leave out
    may be absent or empty. Lines that begin with ``#`` are remarks.

    Raises
    ------
    ValueError
        One line: the file cannot be read, a column is unknown or missing, or the line and the cell
        at fault.
    """
    text = _read(path)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    # numbers of lines in the file, for messages
    numbers = [n for n, line in enumerate(text.splitlines(), 1) if not line.startswith("#")]
    reader = csv.reader(io.StringIO("\n".join(lines)), strict=True)
    try:
        rows = [(numbers[reader.line_num - 1], row) for row in reader if any(row)]
    except csv.Error as error:
        msg = f"devices {path}: line {numbers[max(reader.line_num, 1) - 1]}: {error}"
        raise ValueError(msg) from None
    if len(rows) < 2 or len(rows) > MAX_CLASSES:
        rule = f"must have a header and 1 to {MAX_CLASSES} classes"
        msg = f"devices {path}: {rule}, got {len(rows)} lines"
        raise ValueError(msg)
    header = [cell.strip() for cell in rows[0][1]]
    if fault := next(_header_faults(header), None):
        msg = f"devices {path}: {fault}"
        raise ValueError(msg)
    found: dict[str, DeviceConfig] = {}
    for line, cells in rows[1:]:
        try:
            name, config = _class_of(header, cells, others=found)
        except ValueError as error:
            msg = f"devices {path}: line {line}: {error}"
            raise ValueError(msg) from None
        found[name] = config
    return found


def _read(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        msg = f"devices {path}: cannot be read: {error.strerror or error}"
        raise ValueError(msg) from None
    except UnicodeDecodeError:
        msg = f"devices {path}: is not UTF-8 text"
        raise ValueError(msg) from None
    if "\0" in text:
        msg = f"devices {path}: is not text, it holds null characters"
        raise ValueError(msg)
    return text


def _header_faults(header: list[str]) -> Iterator[str]:
    known = [NAME, *_COLUMNS]
    for column in header:
        if column not in known:
            close = difflib.get_close_matches(column[:100], known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
            yield f"unknown column {column[:40]!r}; {hint}"
    needed = [NAME, *(column for column, is_needed in _COLUMNS.items() if is_needed)]
    missing = [column for column in needed if column not in header]
    if missing:
        yield f"lacks the column {', '.join(missing)}"
    if len(set(header)) < len(header):
        yield "must not have a column twice"


def _class_of(
    header: list[str], cells: list[str], *, others: Container[str]
) -> tuple[str, DeviceConfig]:
    """Return name and figures of a row; no other may have the name.

    Raises
    ------
    ValueError
        With column, rule and value.
    """
    if len(cells) != len(header):
        msg = f"must have {len(header)} cells, got {len(cells)}"
        raise ValueError(msg)
    row = dict(zip(header, cells, strict=True))
    values = _numbers_of(row, _COLUMNS)
    for column, is_needed in _COLUMNS.items():
        if is_needed and column not in values:
            msg = f"{column}: must be a number, got an empty cell"
            raise ValueError(msg)
    for column, value in values.items():
        for sign, bound in _bounds(column):
            if not _holds(value, sign, bound):
                msg = f"{column}: must be {sign} {bound:g}, got {value:g}"
                raise ValueError(msg)
    name = row[NAME].strip()
    if name in others:
        msg = f"name: must differ, got {name[:40]!r} again"
        raise ValueError(msg)
    return name, DeviceConfig(**values)


_TYPES: Mapping[str, Any] = get_type_hints(DeviceConfig, include_extras=True)


def _bounds(column: str) -> Iterator[tuple[str, float]]:
    """Return the bounds of a column, which are those of the key in a scenario."""
    waiting = [_TYPES[column]]
    while waiting:
        each = waiting.pop()
        if type(each) in _SIGNS:
            sign, attribute = _SIGNS[type(each)]
            yield sign, getattr(each, attribute)
        waiting += get_args(each)


def _holds(value: float, sign: str, bound: float) -> bool:
    return {">=": value >= bound, ">": value > bound, "<=": value <= bound}[sign]
