"""Texts on which a personal model is tested that some client trains on, word for word."""

from dataclasses import dataclass

import numpy as np

from fl.data.shards import Shards
from fl.data.table import TextTable, whole_texts


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalDuplicates:
    """How many personal test texts are also trained on, summed over clients."""

    num_test: int
    """Texts that clients are tested on."""
    num_in_own: int
    """Those that the same client trains on."""
    num_in_any: int
    """Those that any client trains on."""


def count_personal_duplicates(shards: Shards, table: TextTable) -> PersonalDuplicates:
    """Compare the test texts of every client with training texts, by all that belongs to a text.

    Parameters
    ----------
    shards
        Of all clients.
    table
        What they index.
    """
    numbers: dict[tuple[str, ...], int] = {}
    text_of = np.array([numbers.setdefault(text, len(numbers)) for text in whole_texts(table)])
    pairs = [(shard.train, shard.test) for shard in shards.each(np.arange(len(shards)))]
    trained = np.unique(text_of[np.concatenate([train for train, _ in pairs])])
    return PersonalDuplicates(
        num_test=sum(len(test) for _, test in pairs),
        num_in_own=sum(int(np.isin(text_of[test], text_of[train]).sum()) for train, test in pairs),
        num_in_any=sum(int(np.isin(text_of[test], trained).sum()) for _, test in pairs),
    )
