"""Personal test texts that are trained on, counted by hand."""

import numpy as np

from fl.data.duplicates import count_personal_duplicates
from fl.data.shards import GivenShards, Shard
from fl.data.table import TextTable


def test_texts_are_compared_with_the_client_s_own_and_with_those_of_all():
    texts = ("a", "b", "c", "a", "d", "b", "e", "a")
    table = TextTable(texts=texts, labels=np.zeros(8, dtype=np.int64))
    shards = GivenShards(
        [
            Shard(train=np.array([0, 1]), test=np.array([2, 3])),  # trains a, b; tested on c, a
            Shard(train=np.array([4]), test=np.array([5, 6, 7])),  # trains d; tested on b, e, a
        ]
    )
    found = count_personal_duplicates(shards, table)
    assert (found.num_test, found.num_in_own, found.num_in_any) == (5, 1, 3)


def test_the_same_prompt_with_another_answer_is_another_text():
    table = TextTable(texts=("a", "a"), labels=np.zeros(2, dtype=np.int64), responses=("yes", "no"))
    shards = GivenShards([Shard(train=np.array([0]), test=np.array([1]))])
    assert count_personal_duplicates(shards, table).num_in_own == 0
