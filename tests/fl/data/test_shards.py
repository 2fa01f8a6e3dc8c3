"""Shards: the split of one client's texts, and shards of many clients that are made when needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fl.data.config import DirichletPartition
from fl.data.partition import partition
from fl.data.shards import GivenShards, SampledShards, Shard, SplitShards, split_shard
from fl.data.table import TextTable
from fl.problems import DataError
from tests.fl.fakes import streams


@settings(max_examples=100, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=80),
    test_fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_shard_split_keeps_every_text_and_class_shares(labels, test_fraction, seed):
    labels = np.array(labels)
    indices = np.arange(len(labels))[::-1]
    shard = split_shard(
        indices, labels, test_fraction=test_fraction, rng=np.random.default_rng(seed)
    )
    both = np.concatenate([shard.train, shard.test])
    np.testing.assert_array_equal(np.sort(both), np.sort(indices))
    assert len(shard.train) >= 1
    assert len(shard.test) == np.clip(round(len(labels) * test_fraction), 1, len(labels) - 1)
    share = len(shard.test) / len(labels)
    for label in np.unique(labels):
        expected = share * (labels == label).sum()
        assert abs((labels[shard.test] == label).sum() - expected) <= 1 + 1e-9


def test_shard_of_one_text_is_refused():
    with pytest.raises(ValueError, match="must hold at least 2 texts, got 1"):
        split_shard(np.array([0]), np.array([1]), test_fraction=0.2, rng=np.random.default_rng(0))


@settings(max_examples=100, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=2, max_size=80),
    num_open=st.integers(1, 80),
    test_fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**32),
)
def test_only_texts_that_may_be_are_tested_on(labels, num_open, test_fraction, seed):
    labels, rng = np.array(labels), np.random.default_rng(seed)
    may_test = np.zeros(len(labels) + 10, dtype=bool)
    may_test[len(labels) :] = True  # of texts that this client does not hold
    may_test[rng.permutation(len(labels))[:num_open]] = True
    table_labels = np.concatenate([labels, np.zeros(10, dtype=int)])
    indices = np.arange(len(labels))
    shard = split_shard(
        indices, table_labels, test_fraction=test_fraction, rng=rng, may_test=may_test
    )
    np.testing.assert_array_equal(np.sort(np.concatenate([shard.train, shard.test])), indices)
    assert len(shard.train) >= 1
    assert may_test[shard.test].all()
    most = min(num_open, len(labels) - 1)
    assert len(shard.test) == np.clip(round(len(labels) * test_fraction), 1, most)
    available = may_test[: len(labels)]
    share = len(shard.test) / available.sum()
    for label in np.unique(labels):
        expected = share * (labels[available] == label).sum()
        assert abs((labels[shard.test] == label).sum() - expected) <= 1 + 1e-9


def test_shard_without_a_text_to_test_on_is_refused():
    with pytest.raises(ValueError, match=r"may_test: .* of the 2 texts, got 0"):
        split_shard(
            np.array([0, 1]),
            np.array([1, 1, 0]),
            test_fraction=0.2,
            rng=np.random.default_rng(0),
            may_test=np.array([False, False, True]),
        )


def table_of(num_texts, *, may_test=None):
    return TextTable(
        texts=tuple(f"t{n}" for n in range(num_texts)),
        labels=np.arange(num_texts) % 4,
        may_test=may_test,
    )


def split(seed, *, num_clients=9, num_texts=400, test_fraction=0.2):
    rng = np.random.default_rng(seed)
    table = table_of(num_texts, may_test=rng.random(num_texts) < 0.6)
    config = DirichletPartition(alpha=1.0, min_texts=6)
    parts = partition(table, config, num_clients=num_clients, rng=rng)
    shards = SplitShards(parts, table, test_fraction=test_fraction, streams=streams(seed))
    return table, parts, shards


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("test_fraction", [0.01, 0.2, 0.5, 0.9])
def test_shards_are_those_of_one_client_after_the_other_in_any_order(seed, test_fraction):
    table, parts, shards = split(seed, test_fraction=test_fraction)
    assert len(shards) == len(parts) == 9
    for client_id in np.random.default_rng(seed).permutation(9).tolist():
        alone = split_shard(
            parts[client_id],
            table.labels,
            test_fraction=test_fraction,
            rng=streams(seed)("partition", client_id),
            may_test=table.may_test,
        )
        np.testing.assert_array_equal(shards[client_id].train, alone.train)
        np.testing.assert_array_equal(shards[client_id].test, alone.test)
    assert shards.num_train.tolist() == [len(each.train) for each in shards]
    assert shards[2] is shards[2]
    assert [shard is shards[n] for n, shard in enumerate(shards[:3])] == [True] * 3


@pytest.mark.parametrize("seed", range(20))
def test_the_longest_text_is_one_that_is_trained_on(seed):
    table, _, shards = split(seed, test_fraction=0.5)
    lengths = np.random.default_rng(seed).integers(1, 60, size=len(table))
    most = max(lengths[shard.train].max() for shard in shards)
    text = shards.longest_text(lengths)
    assert lengths[text] == most
    assert any(text in shard.train for shard in shards)
    assert lengths[GivenShards(list(shards)).longest_text(lengths)] == most


def test_given_shards_come_again_where_there_are_more_clients():
    given = [Shard(train=np.arange(n), test=np.array([9])) for n in (2, 5)]
    shards = GivenShards(given, num_clients=5)
    assert len(shards) == 5
    assert [shards[n] is given[n % 2] for n in range(5)] == [True] * 5
    assert shards.num_train.tolist() == [2, 5, 2, 5, 2]
    assert len(GivenShards(given)) == 2
    with pytest.raises(IndexError):
        shards[5]


def sampled(num_clients, *, num_own=8, num_texts=30, test_fraction=0.25):
    return SampledShards(
        num_texts,
        num_own=num_own,
        num_clients=num_clients,
        test_fraction=test_fraction,
        streams=streams(4),
    )


def test_sampled_shards_do_not_depend_on_how_many_clients_there_are():
    few, many = sampled(3), sampled(1_000_000)
    assert len(many) == 1_000_000
    assert set(many.num_train.tolist()) == {6}
    for client_id in (0, 2):
        np.testing.assert_array_equal(few[client_id].train, many[client_id].train)
    assert not np.array_equal(many[0].train, many[999_999].train)
    assert many.longest_text(np.arange(30)) == 29


def test_sampled_texts_of_a_client_differ_and_all_texts_are_drawn_alike():
    """Each of 30 texts is among the 8 of a client with probability 8/30; 4 sigma over 3000."""
    counts = np.zeros(30)
    for shard in sampled(3000):
        own = np.concatenate([shard.train, shard.test])
        assert (len(shard.train), len(shard.test)) == (6, 2)
        assert len(np.unique(own)) == 8
        counts[own] += 1
    share = 8 / 30
    assert np.abs(counts / 3000 - share).max() < 4 * np.sqrt(share * (1 - share) / 3000)


def test_a_client_cannot_sample_more_texts_than_there_are():
    with pytest.raises(DataError, match=r"partition.num_texts: must be <= 30 .* texts, got 31"):
        sampled(2, num_own=31)


@pytest.mark.parametrize(
    "made", [split(3)[2], sampled(9), GivenShards(split(3)[2][:4], num_clients=9)]
)
def test_shards_of_several_clients_are_those_of_each(made):
    ids = np.array([7, 0, 3, 7])
    for client_id, shard in zip(ids.tolist(), made.each(ids), strict=True):
        alone = made[client_id]
        assert shard.train.tolist() == alone.train.tolist()
        assert shard.test.tolist() == alone.test.tolist()
