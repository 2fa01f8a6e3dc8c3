"""A labelled text collection in memory: training texts, common test set, where they came from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from fl.data.config import DataConfig, DocstringsData, FilesData
from fl.data.table import TextTable, prompt_hashes, whole_texts
from fl.problems import DataError

TUNING_PARTS = 5
"""One training text in this many is for choosing settings, where the source does not say which."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """All texts of a scenario."""

    name: str
    """Name shown in manifest and figures."""
    class_names: tuple[str, ...]
    """Name of each class, at least two where texts are classified."""
    train: TextTable
    """Texts that clients share."""
    test: TextTable
    """Common test set, seen by no client."""
    digest: str
    """SHA-256 over all texts, labels and domains, in order."""
    num_test_texts_in_train: int
    """Texts of the test set that occur in training too, where a source does not keep them apart."""

    def count_classes(self, table: TextTable) -> list[int]:
        """Count the texts of each class in one of the two tables, in the order of the classes."""
        counts: list[int] = np.bincount(table.labels, minlength=len(self.class_names)).tolist()
        return counts


def load_corpus(config: DataConfig, *, cache_dir: Path | None = None) -> Corpus:
    """Read the texts that a scenario asks for.

    Parameters
    ----------
    config
        Source, fold and caps. ``partition`` and ``test_fraction`` are not read here.
    cache_dir
        Folder for harvested texts; the user's cache folder when ``None``.

    Raises
    ------
    fl.problems.DataError
        One line that says what is wrong with the source.
    """
    # Each source is imported when it is used: pandas and datasets take seconds to import.
    if isinstance(config, DocstringsData):
        from fl.data.docstrings import load_docstrings  # noqa: PLC0415

        parts = load_docstrings(
            task=config.task, has_rejected=config.rejected is not None, cache_dir=cache_dir
        )
    elif isinstance(config, FilesData):
        from fl.data.files import load_files  # noqa: PLC0415

        parts = load_files(config)
    else:
        from fl.data.hub import load_hub  # noqa: PLC0415

        parts = load_hub(config)
    name, class_names, train, test = parts
    if train.may_test is None:
        train = replace(train, may_test=~_is_for_tuning(train))
    if config.fold == "tuning":
        train, test = _tuning_tables(train)
    train = _cap(train, config.max_train_texts)
    test = _cap(test, config.max_test_texts)
    return build_corpus(name=name, class_names=class_names, train=train, test=test)


def build_corpus(
    *, name: str, class_names: Sequence[str], train: TextTable, test: TextTable
) -> Corpus:
    """Check two tables that share their classes, and join them to a corpus with its digest.

    Raises
    ------
    fl.problems.DataError
        A table without text, training texts of one class, or test texts that all occur in training.
    """
    for split, table in (("training", train), ("test", test)):
        if len(table) == 0:
            msg = f"data: {name} has no {split} text"
            raise DataError(msg)
    present = np.unique(train.labels)
    if len(present) < 2 and train.responses is None:
        only = class_names[int(present[0])]
        msg = f"data: {name} needs at least 2 classes among its training texts, got only {only!r}"
        raise DataError(msg)
    trained_on = frozenset(whole_texts(train))
    num_shared = sum(text in trained_on for text in whole_texts(test))
    if num_shared == len(test):
        msg = (
            f"data: {name} must have test texts that are not training texts, "
            f"got {num_shared} of {len(test)} that are"
        )
        raise DataError(msg)
    return Corpus(
        name=name,
        class_names=tuple(class_names),
        train=train,
        test=test,
        digest=_digest(class_names, train, test),
        num_test_texts_in_train=num_shared,
    )


def _tuning_tables(table: TextTable) -> tuple[TextTable, TextTable]:
    """Return training and test table of the texts that no final run is tested on.

    A fifth of them is the common test set; every other one may be tested on by the client that
    holds it.
    """
    pool = table.take(np.flatnonzero(~table.may_test)) if table.may_test is not None else table
    is_test = prompt_hashes(pool) // TUNING_PARTS % TUNING_PARTS == 0
    train, test = (pool.take(np.flatnonzero(side)) for side in (~is_test, is_test))
    return replace(train, may_test=None), replace(test, may_test=None)


def _is_for_tuning(table: TextTable) -> Bool[np.ndarray, " text"]:
    """Return which texts settings are chosen on: a function of each text alone."""
    is_chosen: Bool[np.ndarray, " text"] = prompt_hashes(table) % TUNING_PARTS == 0
    return is_chosen


def _cap(table: TextTable, most: int | None) -> TextTable:
    """Keep the ``most`` texts of smallest hash: a sample that no seed and no order changes."""
    if most is None or most >= len(table):
        return table
    rows = np.sort(np.argsort(prompt_hashes(table), kind="stable")[:most])
    return table.take(rows)


def _digest(class_names: Sequence[str], train: TextTable, test: TextTable) -> str:
    digest = hashlib.sha256("\x1f".join(class_names).encode())
    for table in (train, test):
        digest.update("\x1f".join(table.domain_names).encode())
        digest.update(np.asarray(table.labels, dtype="<i8").tobytes())
        if table.domains is not None:
            digest.update(np.asarray(table.domains, dtype="<i8").tobytes())
        for column in (table.texts, table.pairs, table.responses, table.rejected):
            for text in column or ():
                digest.update(text.encode("utf-8", "surrogatepass"))
                digest.update(b"\x1e")
    return digest.hexdigest()
