"""The CSV files of a run, read with every cell checked."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import ResultError

Columns = Mapping[str, str]
"""Column name to ``int``, ``float`` or ``text``, with ``?`` where a cell may be empty.

``float??``, ``text??``: a column that folders of older versions lack; all its cells are empty then.
"""

SCHEMAS: dict[str, Columns] = {
    "devices": {
        "client_id": "int",
        "device": "text",
        "flop_per_s": "float",
        "low_flop_per_s": "float",
        "high_flop_per_s": "float",
        "compute_w": "float",
        "low_w": "float",
        "high_w": "float",
        "battery_wh": "float?",
    },
    "classes": {"client_id": "int", "class_name": "text", "num_train": "int", "num_test": "int"},
    "rounds": {
        "round": "int",
        "started_at_s": "float",
        "finished_at_s": "float",
        "num_selected": "int",
        "num_received": "int",
        "num_late": "int",
        "num_failed": "int",
        "uplink_bytes": "int",
        "downlink_bytes": "int",
        "energy_j": "float",
        "site_energy_j": "float",
        "wasted_j": "float",
    },
    "clients": {
        "round": "int",
        "client_id": "int",
        "outcome": "text",
        "download_s": "float?",
        "compute_s": "float?",
        "upload_s": "float?",
        "compute_j": "float",
        "radio_j": "float",
        "wasted_j": "float",
        "train_loss": "float?",
        "staleness": "int",
    },
    "questions": {
        "round": "int",
        "client_id": "int",
        "outcome": "text",
        "compute_j": "float",
        "radio_j": "float",
        "wasted_j": "float",
    },
    "transfers": {
        "client_id": "int",
        "direction": "text",
        "size_bytes": "int",
        "requested_at_s": "float",
        "started_at_s": "float?",
        "finished_at_s": "float?",
        "energy_j": "float",
        "status": "text",
    },
    "evaluations": {
        "round": "int",
        "at_s": "float",
        "energy_j": "float",
        "site_energy_j": "float",
        "uplink_bytes": "int",
        "downlink_bytes": "int",
        "metric": "text",
        "split": "text",
        "mean": "float?",
        "std": "float?",
        "worst10": "float?",
        "n": "int",
        "text_mean": "float??",
        "num_trained": "float??",
        "trained_mean": "float??",
        "prior": "float??",
        "num_left_out": "float??",
    },
    "privacy": {
        "round": "int",
        "level": "text??",
        "client_id": "float??",
        "num_drawn": "int",
        "num_candidates": "int",
        "num_merged": "int",
        "num_clipped": "int",
        "median_norm": "float",
        "noise_std": "float",
        "delta": "float",
        "epsilon": "float?",
    },
    "energy": {"owner": "text", "activity": "text", "seconds": "float", "energy_j": "float"},
    "scores": {
        "round": "int",
        "at_s": "float",
        "client_id": "int",
        "metric": "text",
        "split": "text",
        "value": "float?",
    },
    "rewards": {
        "round": "int",
        "client_id": "int",
        "helpfulness_weight": "float",
        "helpfulness": "float",
        "safety": "float",
        "reward": "float",
        "independent": "float??",
        "num_texts": "int",
    },
    "answers": {
        "round": "int",
        "client_id": "float?",
        "text_id": "int",
        "prompt": "text",
        "answer": "text",
        "helpfulness": "float?",
        "safety": "float?",
    },
}
"""Columns that analysis reads; further columns of a file are kept as they are."""

IN_SOME_STUDIES = ("classes", "scores", "rewards", "answers", "questions", "privacy")
"""Files that a run has only where its answers are scored, or kept, its policy asks clients, or its
updates are protected; folders of older versions have neither classes nor scores."""

_DTYPES: dict[str, Any] = {"int": "int64", "float": "float64", "text": "str"}

_LARGEST = 1e100
"""Largest number that is read: sums and squares of it are finite."""
_LARGEST_WHOLE = 2**53
"""Largest whole number that is read: it is exact as a floating-point number."""
_NOT_NUMBERS = ("nan", "-nan")
_ADDRESS = ("variant", "seed")
"""Columns that are put in front of every table."""


def read_rows(
    path: Path,
    columns: Columns,
    *,
    is_done: bool,
    notes: list[str] | None = None,
    absent: set[str] | None = None,
) -> pd.DataFrame:
    """Read one file, all columns typed; a last line cut off by a kill is dropped.

    Parameters
    ----------
    path
        The file; one that is absent has no rows, unless its run is done.
    columns
        What it must hold at least.
    is_done
        Whether the manifest says that the run ended.
    notes
        Told of numbers that are left out because they are not finite (a run that diverged).
    absent
        Told of the optional columns that the file lacks.

    Raises
    ------
    ResultError
        The file is missing, cut off though done, not a table, lacks a column or has a bad cell.
    """
    if not path.is_file():
        if is_done:
            msg = f"{path}: missing, though the manifest says that this run is done"
            raise ResultError(msg)
        return empty_rows(columns)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        msg = f"{path}: is not UTF-8 text"
        raise ResultError(msg) from None
    if text and not text.endswith("\n"):
        if is_done:
            msg = f"{path}: ends in the middle of a row, though the manifest says done"
            raise ResultError(msg)
        text = text[: text.rfind("\n") + 1]
    if not text:
        return empty_rows(columns)
    table = _read_clean(text, columns)
    if table is not None:
        return table
    try:
        # all as text, converted below, so that "nan" is not an empty cell and a bad one is named
        table = _read_table(text, dict.fromkeys(columns, "str"))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        msg = f"{path}: {error}".splitlines()[0]
        raise ResultError(msg) from None
    lacking = _lacking(table, columns, path)
    for name in lacking:
        table[name] = pd.Series(np.nan, index=table.index, dtype="str")
    if absent is not None:
        absent.update(lacking)
    for name, kind in columns.items():
        table[name], num_left_out = _typed(table[name], kind, path)
        if num_left_out and notes is not None:
            values = "value is" if num_left_out == 1 else "values are"
            where = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
            notes.append(f"{where}: {name}: {num_left_out} {values} not finite, left out of means")
    return table


def _read_table(text: str, types: Mapping[str, Any]) -> pd.DataFrame:
    """Read a table; only empty cells are missing."""
    return pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""], dtype=types)


def _read_clean(text: str, columns: Columns) -> pd.DataFrame | None:
    """Read a file that has all its columns and no bad cell, in a third of the time.

    ``None`` where something is amiss, or may be: then every cell is looked at by itself.
    """
    if "nan" in text.lower():
        return None
    types = {name: _DTYPES[kind.rstrip("?")] for name, kind in columns.items()}
    try:
        with np.errstate(invalid="ignore"):  # of a number too large for a whole one
            table = _read_table(text, types)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError):
        return None
    if not set(columns) <= set(table.columns) or not set(_ADDRESS).isdisjoint(table.columns):
        return None
    for name, kind in columns.items():
        base = kind.rstrip("?")
        if base == "text":
            table[name] = table[name].fillna("")
            continue
        numbers = table[name].to_numpy()
        is_empty = np.isnan(numbers)
        if is_empty.any() and base == kind:
            return None
        largest = _LARGEST_WHOLE if base == "int" else _LARGEST
        if not (is_empty | (np.abs(numbers) <= largest)).all():
            return None
    return table


def is_optional(kind: str) -> bool:
    """Whether folders of older versions may lack a column of this kind."""
    return kind.endswith("??")


def empty_rows(columns: Columns) -> pd.DataFrame:
    """Return a table of these columns without rows."""
    types = {name: _DTYPES[kind.rstrip("?")] for name, kind in columns.items()}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


def _lacking(table: pd.DataFrame, columns: Columns, path: Path) -> list[str]:
    """Return the optional columns that a file lacks; a ``ResultError`` where another is."""
    lacking = [name for name in columns if name not in table.columns]
    missing = [name for name in lacking if not is_optional(columns[name])]
    if missing:
        msg = f"{path}: lacks the column {', '.join(missing)}; it has {', '.join(table.columns)}"
        raise ResultError(msg)
    for name in _ADDRESS:
        if name in table.columns:
            msg = f"{path}: must not have a column {name}: that is told by its folder"
            raise ResultError(msg)
    return lacking


def _typed(cells: "pd.Series[Any]", kind: str, path: Path) -> tuple["pd.Series[Any]", int]:
    """Convert a column to its type; return it with the number of empty cells."""
    base = kind.rstrip("?")
    if base == "text":
        return cells.fillna("").astype("str"), 0
    numbers = pd.to_numeric(cells, errors="coerce")
    is_infinite = numbers.abs() > (_LARGEST_WHOLE if base == "int" else _LARGEST)
    bad = numbers.isna() & cells.notna()
    if base == "float" and kind != base:
        is_infinite |= cells.str.lower().isin(_NOT_NUMBERS)
        bad &= ~is_infinite
    else:
        bad |= is_infinite
    if not kind.endswith("?"):
        bad |= cells.isna()
    if base == "int":
        bad |= numbers % 1 != 0
    if bad.any():
        row = int(np.flatnonzero(bad.to_numpy())[0])
        raise _bad_cell(path, row, cells, base)
    if base == "float" and kind != base:
        return numbers.mask(is_infinite).astype(_DTYPES[base]), int(is_infinite.sum())
    return numbers.astype(_DTYPES[base]), 0


def _bad_cell(path: Path, row: int, cells: "pd.Series[Any]", base: str) -> ResultError:
    cell = cells.iloc[row]
    want = "a whole number" if base == "int" else "a number"
    if base == "float" and str(cell).strip("+-").lower() in (*_NOT_NUMBERS, "inf", "infinity"):
        want = "a finite number"
    got = "an empty cell" if pd.isna(cell) else repr(str(cell)[:80])
    return ResultError(f"{path}: line {row + 2}: {cells.name}: must be {want}, got {got}")
