"""Tables of device classes: the built-in one beside this module, and files of a user's own."""

import csv
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from annotated_types import Ge, Gt, Le

from fl.clients.device_class import DeviceClass, DeviceConfig, DeviceFigures
from fl.csv_rows import MAX_SHOWN, by_column, header_faults, number, read_rows

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
    return {name: number(name, row[name]) for name in columns if row.get(name)}


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
    try:
        return _classes(path)
    except ValueError as error:
        msg = f"devices {path}: {error}"
        raise ValueError(msg) from None


def _classes(path: str) -> dict[str, DeviceConfig]:
    """Return the same; the message of an error does not name the file."""
    header, rows = read_rows(path, max_rows=MAX_CLASSES, things="classes")
    needed = [NAME, *(column for column, is_needed in _COLUMNS.items() if is_needed)]
    if fault := next(header_faults(header, known=[NAME, *_COLUMNS], needed=needed), None):
        raise ValueError(fault)
    found: dict[str, DeviceConfig] = {}
    for line, cells in rows:
        try:
            name, config = _class_of(header, cells, others=found)
        except ValueError as error:
            msg = f"line {line}: {error}"
            raise ValueError(msg) from None
        found[name] = config
    return found


def _class_of(
    header: list[str], cells: list[str], *, others: Container[str]
) -> tuple[str, DeviceConfig]:
    """Return name and figures of a row; no other may have the name.

    Raises
    ------
    ValueError
        With column, rule and value.
    """
    row = by_column(header, cells)
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
    name = row.get(NAME, "")
    if name in others:
        msg = f"name: must differ, got {name[:MAX_SHOWN]!r} again"
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
