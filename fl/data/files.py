"""Tables on disk: parquet, csv, tsv, jsonl, the text formats also as .gz."""

import zlib
from pathlib import Path

import pandas as pd

from fl.data.columns import MAX_NAMES, build_tables, columns_of, keep_domains
from fl.data.config import FilesData, Quoting
from fl.data.table import TextTable, hold_out
from fl.data.text_files import read_delimited, read_json_lines
from fl.problems import DataError, one_line

MAX_REASON = 300
"""Longest text of a reader's exception that a message repeats [characters]."""
FORMATS = ".parquet, .csv, .tsv, .jsonl (also .csv.gz, .tsv.gz, .jsonl.gz)"


def load_files(config: FilesData) -> tuple[str, tuple[str, ...], TextTable, TextTable]:
    """Return name, classes, training and test table of two files.

    Raises
    ------
    fl.problems.DataError
        A file is missing, unreadable, or not as the settings say.
    """
    files = {"train": config.train}
    if config.test not in (None, config.train):
        files["test"] = str(config.test)
    frames = {key: read_frame(path, key=key, quoting=config.quoting) for key, path in files.items()}
    sides = []
    for key, part in (("train", config.train_part), ("test", config.test_part)):
        own = key if key in files else "train"
        columns, frame = columns_of(config, place=files[own]), frames[own]
        if config.part is not None:
            frame = _rows_of(frame, config.part, part, key=f"{key}_part", place=files[own])
        sides.append((keep_domains(frame, columns, config.keep_domains), columns))
    (train_frame, train_columns), (test_frame, test_columns) = sides
    classes, train, test = build_tables(
        train_frame, test_frame, train_columns=train_columns, test_columns=test_columns
    )
    if config.test is None and config.part is None:
        train, test = hold_out(train)
    name = config.name or Path(config.train).name.partition(".")[0]
    return name, classes, train, test


def _rows_of(frame: pd.DataFrame, column: str, part: str, *, key: str, place: str) -> pd.DataFrame:
    """Return the rows that a column says are of one part."""
    if column not in frame.columns:
        names = ", ".join(map(str, frame.columns[:MAX_NAMES]))
        msg = f"data.part: {place} has no column {column!r}; its columns: {names}"
        raise DataError(msg)
    named = frame[column].astype(str)
    if not (named == part).any():
        known = ", ".join(sorted(set(named))[:MAX_NAMES])
        msg = f"data.{key}: column {column!r} of {place} has no {part!r}; it has {known}"
        raise DataError(msg)
    return frame[named == part].reset_index(drop=True)


def read_frame(path: str, *, key: str, quoting: Quoting | None = None) -> pd.DataFrame:
    """Read one table; its format is told by the end of its name.

    Parameters
    ----------
    path
        File.
    key
        Setting that names the file (``train`` or ``test``), for messages.
    quoting
        How cells of csv and tsv files are quoted; after the ending when ``None``.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        what = "is a folder, not a file" if file.is_dir() else "does not exist"
        msg = f"data.{key}: {path} {what}"
        raise DataError(msg)
    suffixes = [suffix.lower() for suffix in file.suffixes]
    is_packed = suffixes[-1:] == [".gz"]
    suffix = (suffixes[:-1] if is_packed else suffixes)[-1:]
    try:
        match suffix:
            case [".parquet"] if not is_packed:
                return pd.read_parquet(file)
            case [(".csv" | ".tsv") as kind]:
                return read_delimited(file, suffix=kind, quoting=quoting)
            case [".jsonl"]:
                return read_json_lines(file)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        # pyarrow raises subclasses of the first two for damaged files, gzip the others.
        reason = one_line(str(error), MAX_REASON)
        msg = f"data.{key}: {path} cannot be read as {suffix[0][1:]}: {reason}"
        raise DataError(msg) from None
    msg = f"data.{key}: the name must end in {FORMATS}, got {path}"
    raise DataError(msg)
