"""Texts in memory: one row a text, with its class; and a hash of a text."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int, UInt64

TEST_PARTS = 5
"""One text in this many is for the common test set, where a source has no texts for it."""


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """Texts with class and, where the source has them, natural domain."""

    texts: tuple[str, ...]
    """Texts, none empty: what is classified, or the prompts."""
    pairs: tuple[str, ...] | None = None
    """Second text of each pair, or the rest of each prompt; ``None`` where there is none."""
    responses: tuple[str, ...] | None = None
    """Answer to each prompt, none empty; ``None`` where texts are classified."""
    rejected: tuple[str, ...] | None = None
    """Worse answer to each prompt, none empty; ``None`` where there is none."""
    labels: Int[np.ndarray, " text"]
    """Class of each text: an index into the corpus's ``class_names``; int64."""
    domains: Int[np.ndarray, " text"] | None = None
    """Natural domain of each text: an index into ``domain_names``; ``None`` where there is none."""
    domain_names: tuple[str, ...] = ()
    """Names of the natural domains; empty where there are none."""
    may_test: Bool[np.ndarray, " text"] | None = None
    """Whether each text may be tested on by the client that holds it; every one when ``None``. No
    text that the model of this project was pretrained on may be, nor one for choosing settings."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def inputs(self) -> Sequence[tuple[str, str]]:
        """Everything that a model reads of each text."""
        return list(zip(self.texts, self.pairs or [""] * len(self), strict=True))

    def take(self, rows: Int[np.ndarray, " row"]) -> "TextTable":
        """Return some of the texts."""

        def pick(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
            return None if values is None else tuple(values[row] for row in rows)

        return replace(
            self,
            texts=tuple(self.texts[row] for row in rows),
            pairs=pick(self.pairs),
            responses=pick(self.responses),
            rejected=pick(self.rejected),
            labels=self.labels[rows],
            domains=None if self.domains is None else self.domains[rows],
            may_test=None if self.may_test is None else self.may_test[rows],
        )


def prompt_hashes(table: TextTable) -> UInt64[np.ndarray, " text"]:
    """Return 64 bits of all that a model reads of each text; answers do not count."""
    return np.array([text_hash("".join(each)) for each in table.inputs], dtype=np.uint64)


def hold_out(table: TextTable) -> tuple[TextTable, TextTable]:
    """Split one table into training texts and a common test set, by the prompts alone.

    Equal prompts fall on one side. One in :data:`TEST_PARTS` is tested on; the bits that decide are
    not those by which :mod:`fl.data.corpus` chooses texts for settings.
    """
    is_test = prompt_hashes(table) // TEST_PARTS**2 % TEST_PARTS == 0
    return table.take(np.flatnonzero(~is_test)), table.take(np.flatnonzero(is_test))


def whole_texts(table: TextTable) -> Sequence[tuple[str, ...]]:
    """Return all text of each row: the same prompt with another answer is another text."""
    columns = (table.texts, table.pairs, table.responses, table.rejected)
    return list(zip(*(column for column in columns if column is not None), strict=True))


def text_hash(text: str) -> int:
    """Return 64 bits that depend on the text alone: the same on every machine, in any order."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
