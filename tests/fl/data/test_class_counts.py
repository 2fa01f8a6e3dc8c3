"""Texts of each class that clients hold, against shards that are written out."""

import numpy as np

from fl.data.class_counts import MOST_CLIENTS, class_rows
from fl.data.shards import GivenShards, Shard


def test_texts_are_counted_by_client_and_class():
    labels = np.array([0, 2, 2, 1, 0, 2])
    shards = GivenShards(
        [
            Shard(train=np.array([0, 1, 2]), test=np.array([5])),
            Shard(train=np.array([3]), test=np.array([4])),
        ]
    )
    rows = class_rows(shards, labels, ("a", "b", "c"))
    assert [(row.client_id, row.class_name, row.num_train, row.num_test) for row in rows] == [
        (0, "a", 1, 0),
        (0, "c", 2, 1),
        (1, "a", 0, 1),
        (1, "b", 1, 0),
    ]


def test_of_very_many_clients_the_first_are_counted():
    shards = GivenShards([Shard(train=np.array([0]), test=np.array([1]))], num_clients=10**6)
    rows = list(class_rows(shards, np.array([0, 0]), ("only",)))
    assert [row.client_id for row in rows] == list(range(MOST_CLIENTS))
