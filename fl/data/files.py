"""Tables on disk: parquet, csv, tsv, jsonl, the text formats also as .gz."""

import zlib
from pathlib import Path

import pandas as pd

from fl.data.columns import build_tables, columns_of
from fl.data.config import FilesData, Quoting
from fl.data.table import TextTable
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
    frames = {
        key: read_frame(getattr(config, key), key=key, quoting=config.quoting)
        for key in ("train", "test")
    }
    train_columns, test_columns = (
        columns_of(config, place=place) for place in (config.train, config.test)
    )
    classes, train, test = build_tables(
        frames["train"], frames["test"], train_columns=train_columns, test_columns=test_columns
    )
    name = config.name or Path(config.train).name.partition(".")[0]
    return name, classes, train, test


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
