"""Where preference pairs come from: sets made of docstrings, or a table."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from fl.data.files import read_frame
from fl.data.table import text_hash
from fl.problems import DataError, is_whole_text, one_line
from fl.rewards.config import BUILT_IN_PAIRS, FolderReward, TrainedReward
from fl.rewards.docstring_pairs import built_in_pairs
from fl.rewards.pairs import Pairs, PreferencePairs, of_smallest_hash, plain, split_apart

COLUMNS = ("prompt", "chosen", "rejected")
"""Columns of a table of pairs."""
HELD_OUT_FOLDS = 5
"""One prompt in this many is held out where a table does not say which."""


def load_pairs(
    config: TrainedReward | FolderReward, *, key: str, cache_dir: Path | None = None
) -> PreferencePairs:
    """Return the pairs that the settings of a reward name.

    Parameters
    ----------
    config
        Settings; ``pairs`` must not be empty.
    key
        Key of the reward in the scenario, with which messages begin.
    cache_dir
        Folder for harvested texts; the user's cache folder when ``None``.

    Raises
    ------
    fl.problems.DataError
        One line: no such table, a column that is missing, a cell that holds no text, a part that no
        row belongs to, or no pair left.
    """
    if config.pairs in BUILT_IN_PAIRS:
        train, test = built_in_pairs(config.pairs, cache_dir=cache_dir)
    else:
        train, test = _read_table(config, key=key)
    found = split_apart(train, test, key=key)
    return replace(found, test=of_smallest_hash(found.test, config.max_test_pairs))


def _read_table(config: TrainedReward | FolderReward, *, key: str) -> tuple[Pairs, Pairs]:
    """Return training and held-out pairs of a table."""
    place = str(config.pairs)
    try:
        frame = read_frame(place, key="pairs")
    except DataError as error:
        msg = str(error).replace("data.pairs", f"{key}.pairs", 1)
        raise DataError(msg) from None
    wanted = COLUMNS if config.part is None else (*COLUMNS, config.part)
    for column in wanted:
        if column not in frame.columns:
            setting = "part" if column == config.part else "pairs"
            present = one_line(", ".join(map(str, frame.columns)), 200)
            msg = f"{key}.{setting}: {place} has no column {column!r}; its columns: {present}"
            raise DataError(msg)
    whole = Pairs(
        prompts=_texts(frame, "prompt", place=place, key=key),
        chosen=_texts(frame, "chosen", place=place, key=key),
        rejected=_texts(frame, "rejected", place=place, key=key),
    )
    if config.part is None:
        is_test = [text_hash(plain(each)) % HELD_OUT_FOLDS == 0 for each in whole.prompts]
        rows_of = [
            [row for row, each in enumerate(is_test) if each is side] for side in (False, True)
        ]
        return whole.take(rows_of[0]), whole.take(rows_of[1])
    parts = [str(cell) for cell in frame[config.part]]
    for setting in ("train_parts", "test_parts"):
        for name in getattr(config, setting):
            if name not in parts:
                present = one_line(", ".join(sorted(set(parts))), 200)
                msg = (
                    f"{key}.{setting}: no row of {place} is of part {name!r}; "
                    f"parts in its column {config.part!r}: {present}"
                )
                raise DataError(msg)
    train, test = (
        whole.take([row for row, part in enumerate(parts) if part in names])
        for names in (config.train_parts, config.test_parts)
    )
    return train, test


def _texts(frame: pd.DataFrame, column: str, *, place: str, key: str) -> tuple[str, ...]:
    """Return the texts of a column; only a worse answer may be empty."""
    cells = frame[column].tolist()
    for row, cell in enumerate(cells):
        is_text = isinstance(cell, str) and is_whole_text(cell)
        if not is_text or (column != "rejected" and not cell.strip()):
            msg = (
                f"{key}.pairs: column {column!r} of {place} must hold text in every row, "
                f"got {one_line(repr(cell), 60)} in row {row}"
            )
            raise DataError(msg)
    return tuple(cells)
