"""How many texts of each class clients hold: the rows of ``classes.csv``."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int

from fl.data.shards import Shards
from fl.rows import ClassRow

MOST_CLIENTS = 1000
"""Clients that are counted, the first ones: a run of very many clients draws no other shard
[our choice]."""


def class_rows(
    shards: Shards, labels: Int[np.ndarray, " text"], class_names: Sequence[str]
) -> Iterator[ClassRow]:
    """Yield one row a client and class of which it holds a text, ascending by both.

    Parameters
    ----------
    shards
        Texts of every client; only those of the first :data:`MOST_CLIENTS` are looked at.
    labels
        Class of each text of the table that the shards index.
    class_names
        Of the classes that ``labels`` index.
    """
    for client_id in range(min(len(shards), MOST_CLIENTS)):
        shard = shards[client_id]
        train, test = (
            np.bincount(labels[texts], minlength=len(class_names))
            for texts in (shard.train, shard.test)
        )
        for place in np.flatnonzero(train + test).tolist():
            yield ClassRow(
                client_id=client_id,
                class_name=class_names[place],
                num_train=int(train[place]),
                num_test=int(test[place]),
            )
