"""Preference pairs: two answers to a prompt, of which people, or a rule, prefer the first."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from fl.data.files import read_frame
from fl.data.table import text_hash
from fl.problems import DataError, is_whole_text, one_line
from fl.rewards.config import BUILT_IN_PAIRS, FolderReward, TrainedReward

COLUMNS = ("prompt", "chosen", "rejected")
"""Columns of a table of pairs."""
HELD_OUT_FOLDS = 5
"""One prompt in this many is held out where a table does not say which."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Prompts, each with two answers."""

    prompts: tuple[str, ...]
    chosen: tuple[str, ...]
    """The better answer to each prompt."""
    rejected: tuple[str, ...]
    """The worse one."""

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows: Sequence[int]) -> "Pairs":
        """Return some of the pairs."""
        columns = (self.prompts, self.chosen, self.rejected)
        prompts, chosen, rejected = (tuple(column[row] for row in rows) for column in columns)
        return Pairs(prompts=prompts, chosen=chosen, rejected=rejected)

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Return prompt, better and worse answer of each pair."""
        return zip(self.prompts, self.chosen, self.rejected, strict=True)


@dataclass(frozen=True, kw_only=True)
class PreferencePairs:
    """Pairs to train on and pairs held out, which share no prompt."""

    train: Pairs
    test: Pairs
    dropped: dict[str, int] = field(default_factory=dict)
    """How many pairs were left out, by the reason."""

    @property
    def digest(self) -> str:
        """SHA-256 of all texts, in order."""
        digest = hashlib.sha256()
        for part in (self.train, self.test):
            for row in part.rows():
                for text in row:
                    digest.update(text.encode())
                    digest.update(b"\x1e")
            digest.update(b"\x1d")
        return digest.hexdigest()


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
        from fl.rewards.docstring_pairs import built_in_pairs  # noqa: PLC0415  reads the harvest

        train, test = built_in_pairs(config.pairs, cache_dir=cache_dir)
    else:
        train, test = _read_table(config, key=key)
    return split_apart(train, test, key=key)


def split_apart(train: Pairs, test: Pairs, *, key: str) -> PreferencePairs:
    """Leave out pairs of two equal answers, and training pairs whose prompt is held out.

    Raises
    ------
    fl.problems.DataError
        No pair is left to train on, or none is held out.
    """
    unequal = [
        part.take(
            [row for row, (_, chosen, rejected) in enumerate(part.rows()) if chosen != rejected]
        )
        for part in (train, test)
    ]
    held_out = {_plain(prompt) for prompt in unequal[1].prompts}
    rows = [row for row, prompt in enumerate(unequal[0].prompts) if _plain(prompt) not in held_out]
    found = PreferencePairs(
        train=unequal[0].take(rows),
        test=unequal[1],
        dropped={
            "equal answers": len(train) + len(test) - sum(map(len, unequal)),
            "prompt held out": len(unequal[0]) - len(rows),
        },
    )
    for name, part in (("to train on", found.train), ("held out", found.test)):
        if not len(part):
            msg = f"{key}.pairs: there must be pairs {name}, got none"
            raise DataError(msg)
    return found


def _plain(prompt: str) -> str:
    """Return a prompt without its case and spacing, which make no other prompt of it."""
    return " ".join(prompt.casefold().split())


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
        is_test = [text_hash(_plain(each)) % HELD_OUT_FOLDS == 0 for each in whole.prompts]
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
