"""Preference pairs: two answers to a prompt, of which people, or a rule, prefer the first."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fl.data.table import text_hash
from fl.problems import DataError


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
    held_out = {plain(prompt) for prompt in unequal[1].prompts}
    rows = [row for row, prompt in enumerate(unequal[0].prompts) if plain(prompt) not in held_out]
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


def of_smallest_hash(pairs: Pairs, most: int) -> Pairs:
    """Return a sample that no order changes, in the order of the pairs."""
    hashes = [text_hash("\x1f".join(row)) for row in pairs.rows()]
    order = sorted(range(len(pairs)), key=hashes.__getitem__)
    return pairs.take(sorted(order[:most]))


def plain(prompt: str) -> str:
    """Return a prompt without its case and spacing, which make no other prompt of it."""
    return " ".join(prompt.casefold().split())
