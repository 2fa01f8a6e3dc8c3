"""From a table with a text and a label column to texts and classes, with every cell checked."""

import re
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from fl.data.config import FilesData, HubData
from fl.data.table import TextTable
from fl.problems import DataError, is_whole_text

MAX_CLASSES = 1_000
"""More distinct labels than this are taken for a wrong column."""
ONLY_CLASS = "all"
"""Class of every text where none is named."""
MAX_NAMES = 12
"""Names of columns or classes that a message lists."""
_MARKED = re.compile(r"\s*Human:\s*(\S.*?)\s*Assistant:\s*", re.DOTALL)
_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = _BRIEF.maxlong = 60


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column holds what, and where the table came from, for messages."""

    text: str
    text_pair: str | None = None
    response: str | None = None
    rejected: str | None = None
    has_marks: bool = False
    """Whether prompts stand between ``Human:`` and ``Assistant:``."""
    label: str | None = "label"
    """``None``: all texts are of one class."""
    domain: str | None = None
    place: str
    """File or split, as messages name it."""


def columns_of(config: FilesData | HubData, *, place: str) -> Columns:
    """Return the columns that the settings of a source name."""
    is_class_needed = config.response is None
    return Columns(
        text=config.text,
        text_pair=config.text_pair,
        response=config.response,
        rejected=config.rejected,
        has_marks=config.prompt_marks == "human_assistant",
        label=config.label or ("label" if is_class_needed else None),
        domain=config.domain,
        place=place,
    )


def build_tables(
    train: pd.DataFrame,
    test: pd.DataFrame,
    *,
    train_columns: Columns,
    test_columns: Columns,
    class_names: Sequence[str] | None = None,
) -> tuple[tuple[str, ...], TextTable, TextTable]:
    """Check two tables and give their classes and texts.

    Parameters
    ----------
    train, test
        One text a row.
    train_columns, test_columns
        Which columns to read.
    class_names
        Names of the classes 0, 1, ... where the source says them; else the distinct labels of
        the training table, sorted.

    Raises
    ------
    fl.problems.DataError
        A column is missing, a cell is empty or no label, or a test label never occurs in training.
    """
    tables = ((train, train_columns), (test, test_columns))
    for table, columns in tables:
        _check_columns(table, columns)
    texts = [_read_texts(table, columns, key="text") for table, columns in tables]
    pairs, responses, rejected = (
        [
            None
            if getattr(columns, key) is None
            else _read_texts(table, columns, key=key, may_be_empty=may_be_empty)
            for table, columns in tables
        ]
        for key, may_be_empty in (
            ("text_pair", train_columns.response is not None),
            ("response", False),
            ("rejected", False),
        )
    )
    if train_columns.has_marks:
        texts = [
            _without_marks(own, columns) for own, (_, columns) in zip(texts, tables, strict=True)
        ]
    labels = [_read_labels(table, columns) for table, columns in tables]
    known: list[int | str] = (
        sorted(set(labels[0])) if class_names is None else list(range(len(class_names)))
    )
    if len(set(labels[0])) < 2 and train_columns.label is not None:
        msg = (
            f"data.label: column {train_columns.label!r} of {train_columns.place} must hold "
            f"at least 2 classes, got only {labels[0][0]!r}"
        )
        raise DataError(msg)
    if len(known) > MAX_CLASSES:
        msg = (
            f"data.label: column {train_columns.label!r} of {train_columns.place} holds "
            f"{len(known)} distinct values; a class label has at most {MAX_CLASSES}"
        )
        raise DataError(msg)
    index_of = {label: index for index, label in enumerate(known)}
    domains, domain_names = _read_domains(train, test, train_columns, test_columns)
    coded = [
        _code(own, index_of, columns) for own, (_, columns) in zip(labels, tables, strict=True)
    ]
    names = tuple(class_names) if class_names is not None else tuple(str(name) for name in known)
    train_table, test_table = (
        TextTable(
            texts=own,
            pairs=pair,
            responses=response,
            rejected=worse,
            labels=code,
            domains=domain,
            domain_names=domain_names,
        )
        for own, pair, response, worse, code, domain in zip(
            texts, pairs, responses, rejected, coded, domains, strict=True
        )
    )
    return names, train_table, test_table


def _check_columns(table: pd.DataFrame, columns: Columns) -> None:
    for key in ("text", "text_pair", "response", "rejected", "label", "domain"):
        column = getattr(columns, key)
        if column is not None and column not in table.columns:
            present = _listed(table.columns)
            msg = f"data.{key}: {columns.place} has no column {column!r}; its columns: {present}"
            raise DataError(msg)
    if len(table) == 0:
        msg = f"data: {columns.place} has no row"
        raise DataError(msg)
    if columns.domain is not None and table[columns.domain].isna().any():
        msg = f"data.domain: column {columns.domain!r} of {columns.place} must not have empty cells"
        raise DataError(msg)


def _listed(names: Iterable[object]) -> str:
    """List names for a message, some of many."""
    every = [str(name) for name in names]
    shown = [name if len(name) <= 60 else f"{name[:57]}..." for name in every[:MAX_NAMES]]
    rest = len(every) - len(shown)
    return ", ".join([*shown, f"and {rest} more"] if rest else shown)


def _is_empty(cell: Any) -> bool:  # noqa: ANN401 -- whatever a table holds
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def _check_characters(cells: Sequence[object], columns: Columns, *, key: str) -> None:
    """Refuse texts that UTF-8 cannot hold: JSON can spell half of a surrogate pair."""
    for row, cell in enumerate(cells):
        if isinstance(cell, str) and not is_whole_text(cell):
            msg = (
                f"data.{key}: column {getattr(columns, key)!r} of {columns.place} must hold whole "
                f"characters, got a lone surrogate in {_BRIEF.repr(cell)} in row {row}"
            )
            raise DataError(msg)


def _read_texts(
    table: pd.DataFrame, columns: Columns, *, key: str, may_be_empty: bool = False
) -> tuple[str, ...]:
    column = getattr(columns, key)
    if may_be_empty:
        cells = ["" if _is_empty(cell) else cell for cell in table[column]]
        bad = [row for row, cell in enumerate(cells) if not isinstance(cell, str)]
    else:
        cells = table[column].tolist()
        bad = [
            row for row, text in enumerate(cells) if not isinstance(text, str) or not text.strip()
        ]
    if bad:
        found = _BRIEF.repr(cells[bad[0]])
        msg = (
            f"data.{key}: column {column!r} of {columns.place} must hold text in every row, "
            f"got {found} in row {bad[0]} ({len(bad)} such rows)"
        )
        raise DataError(msg)
    _check_characters(cells, columns, key=key)
    return tuple(cells)


def _without_marks(texts: Sequence[str], columns: Columns) -> tuple[str, ...]:
    """Take ``Human:`` off the beginning and ``Assistant:`` off the end of prompts."""
    found = []
    for row, text in enumerate(texts):
        match = _MARKED.fullmatch(text)
        if match is None:
            msg = (
                f"data.prompt_marks: column {columns.text!r} of {columns.place} must hold prompts "
                f"between 'Human:' and 'Assistant:', got {_BRIEF.repr(text)} in row {row}"
            )
            raise DataError(msg)
        found.append(match[1])
    return tuple(found)


def keep_domains(table: pd.DataFrame, columns: Columns, domains: Sequence[str]) -> pd.DataFrame:
    """Return the rows of some natural domains; all where none is named.

    Raises
    ------
    fl.problems.DataError
        The column is missing, or no row is of a domain.
    """
    if not domains:
        return table
    _check_columns(table, columns)
    named = table[columns.domain].astype(str)
    if absent := [each for each in domains if each not in set(named)]:
        msg = (
            f"data.keep_domains: column {columns.domain!r} of {columns.place} has no "
            f"{absent[0]!r}; it has {_listed(sorted(set(named)))}"
        )
        raise DataError(msg)
    return table[named.isin(domains)].reset_index(drop=True)


def _read_labels(table: pd.DataFrame, columns: Columns) -> list[int] | list[str]:
    """Return whole numbers where all cells are such, else names; anything else is an error."""
    if columns.label is None:
        return [ONLY_CLASS] * len(table)
    cells = table[columns.label].tolist()
    is_missing = table[columns.label].isna().to_numpy() | np.array(
        [isinstance(cell, str) and not cell.strip() for cell in cells], dtype=bool
    )
    if is_missing.any():
        msg = (
            f"data.label: column {columns.label!r} of {columns.place} must hold a label in every "
            f"row, got none in row {is_missing.argmax()} ({is_missing.sum()} such rows)"
        )
        raise DataError(msg)
    _check_characters(cells, columns, key="label")
    if all(isinstance(cell, str) for cell in cells):
        return list(cells)
    for row, cell in enumerate(cells):
        is_whole = isinstance(cell, (bool, int)) or (isinstance(cell, float) and cell.is_integer())
        if not is_whole:
            msg = (
                f"data.label: column {columns.label!r} of {columns.place} must hold whole numbers "
                f"or names, got {_BRIEF.repr(cell)} in row {row}"
            )
            raise DataError(msg)
    return [int(cell) for cell in cells]


def _code(
    labels: list[int] | list[str], index_of: dict[int | str, int], columns: Columns
) -> Int[np.ndarray, " text"]:
    unknown = sorted({label for label in labels if label not in index_of}, key=str)
    if unknown:
        known = _listed(index_of)
        found = _BRIEF.repr(unknown[0])
        msg = (
            f"data.label: column {columns.label!r} of {columns.place} holds label {found}, "
            f"which is none of the training classes ({known})"
        )
        raise DataError(msg)
    return np.array([index_of[label] for label in labels], dtype=np.int64)


def _read_domains(
    train: pd.DataFrame, test: pd.DataFrame, train_columns: Columns, test_columns: Columns
) -> tuple[list[Int[np.ndarray, " text"] | None], tuple[str, ...]]:
    if train_columns.domain is None:
        return [None, None], ()
    for table, columns in ((train, train_columns), (test, test_columns)):
        _check_characters(table[columns.domain].tolist(), columns, key="domain")
    named = [
        table[columns.domain].astype(str)
        for table, columns in ((train, train_columns), (test, test_columns))
    ]
    names = tuple(sorted({name for column in named for name in column}))
    index_of = {name: index for index, name in enumerate(names)}
    return [column.map(index_of).to_numpy(dtype=np.int64) for column in named], names
