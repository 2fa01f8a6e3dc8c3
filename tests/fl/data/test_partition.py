import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, chi2, chi2_contingency, kstest

from fl.data.config import DirichletPartition, DomainsPartition, IidPartition
from fl.data.partition import MAX_REDRAWS, partition
from fl.data.table import TextTable
from fl.problems import DataError


def table_of(labels, domains=None, may_test=None):
    return TextTable(
        texts=tuple(f"t{n}" for n in range(len(labels))),
        labels=np.asarray(labels),
        domains=None if domains is None else np.asarray(domains),
        may_test=None if may_test is None else np.asarray(may_test, dtype=bool),
    )


def contingency(table, parts, num_classes):
    return np.array([np.bincount(table.labels[part], minlength=num_classes) for part in parts])


@settings(max_examples=60, deadline=None)
@given(
    num_clients=st.integers(1, 8),
    num_texts=st.integers(100, 160),
    kind=st.sampled_from(["iid", "dirichlet", "domains"]),
    seed=st.integers(0, 2**32),
)
def test_shares_are_disjoint_complete_and_repeatable(num_clients, num_texts, kind, seed):
    labels = np.arange(num_texts) % 5
    table = table_of(labels, domains=np.arange(num_texts) // 10)
    config = {
        "iid": IidPartition(),
        "dirichlet": DirichletPartition(alpha=2.0, min_texts=2),
        "domains": DomainsPartition(),
    }[kind]
    first, second = (
        partition(table, config, num_clients=num_clients, rng=np.random.default_rng(seed))
        for _ in range(2)
    )
    assert len(first) == num_clients
    np.testing.assert_array_equal(np.sort(np.concatenate(first)), np.arange(num_texts))
    for part, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(part, again)
        assert np.all(np.diff(part) > 0)
        assert len(part) >= 2


def test_iid_sizes_differ_by_at_most_one():
    parts = partition(
        table_of([0, 1] * 50), IidPartition(), num_clients=7, rng=np.random.default_rng(0)
    )
    assert {len(part) for part in parts} == {14, 15}


def test_iid_labels_pass_a_chi_square_test():
    table = table_of(np.arange(4_000) % 4)
    parts = partition(table, IidPartition(), num_clients=10, rng=np.random.default_rng(1))
    assert chi2_contingency(contingency(table, parts, 4)).pvalue > 1e-3


def test_large_alpha_tends_to_equal_shares():
    table = table_of(np.arange(8_000) % 4)
    config = DirichletPartition(alpha=1e5)
    parts = partition(table, config, num_clients=10, rng=np.random.default_rng(2))
    counts = contingency(table, parts, 4)
    # Shares have variance (1 - 1/k) / (k * (k * alpha + 1)): 2e-4 of a class's 2,000 texts.
    assert np.abs(counts - 200).max() <= 5
    assert ((counts - 200.0) ** 2 / 200).sum() < chi2.ppf(0.99, 39)


def test_small_alpha_is_skewed():
    table = table_of(np.arange(8_000) % 4)
    config = DirichletPartition(alpha=0.05, min_texts=2)
    parts = partition(table, config, num_clients=5, rng=np.random.default_rng(3))
    counts = contingency(table, parts, 4)
    assert chi2_contingency(counts + 1).pvalue < 1e-12
    assert np.median(counts.max(axis=0) / 2_000) > 0.8


def test_share_of_a_class_follows_the_beta_law():
    # One coordinate of a symmetric Dirichlet is Beta(alpha, (k - 1) alpha). With min_texts far
    # below the mean the condition on the smallest client is void: one class of 40,000 texts.
    alpha, num_clients, size = 2.0, 3, 40_000
    table = table_of(np.zeros(size, dtype=int))
    config = DirichletPartition(alpha=alpha, min_texts=2)
    shares = [
        len(partition(table, config, num_clients=num_clients, rng=np.random.default_rng(seed))[0])
        / size
        for seed in range(150)
    ]
    assert kstest(shares, beta(alpha, (num_clients - 1) * alpha).cdf).pvalue > 1e-3


def test_every_client_has_the_minimum():
    table = table_of(np.arange(600) % 3)
    config = DirichletPartition(alpha=0.5, min_texts=20)
    for seed in range(10):
        parts = partition(table, config, num_clients=6, rng=np.random.default_rng(seed))
        assert min(len(part) for part in parts) >= 20


def test_domains_stay_whole_and_are_dealt_evenly():
    domains = np.repeat(np.arange(11), 3)
    table = table_of(np.arange(33) % 2, domains)
    parts = partition(table, DomainsPartition(), num_clients=4, rng=np.random.default_rng(0))
    held = [set(domains[part]) for part in parts]
    assert sum(len(own) for own in held) == 11
    assert sorted(len(own) for own in held) == [2, 3, 3, 3]


@pytest.mark.parametrize(
    ("table", "config", "num_clients", "message"),
    [
        (table_of([0, 1]), IidPartition(), 3, "3 clients need 2 texts each, 6 in all, got 2 train"),
        (table_of([0, 1] * 9), DirichletPartition(min_texts=10), 2, "2 clients need 10 texts each"),
        (
            table_of([0, 1] * 20),
            DirichletPartition(alpha=0.01, min_texts=13),
            3,
            "no draw of 200 .* at alpha 0.01 .*; use fewer clients",
        ),
        (table_of([0, 1] * 5), DomainsPartition(), 2, "no natural domains; use iid or dirichlet"),
        (table_of([0] * 9, [0] * 9), DomainsPartition(), 2, "2 clients need as many .*, got 1"),
        (table_of([0] * 9, [0] + [1] * 8), DomainsPartition(), 2, "a natural domain of 1 text"),
    ],
)
def test_impossible_partitions_are_refused(table, config, num_clients, message):
    with pytest.raises(DataError, match=message):
        partition(table, config, num_clients=num_clients, rng=np.random.default_rng(0))


def test_partition_is_drawn_anew_until_every_client_can_be_tested():
    # 4 clients, 8 of 40 texts may be tested on: about a third of all draws leave a client without.
    may_test = np.arange(40) < 8
    table, free = (table_of(np.arange(40) % 2, may_test=mask) for mask in (may_test, None))
    num_redrawn = 0
    for seed in range(60):
        first, second = (
            partition(each, IidPartition(), num_clients=4, rng=np.random.default_rng(seed))
            for each in (free, table)
        )
        assert all(may_test[part].any() for part in second)
        if all(may_test[part].any() for part in first):
            assert all(map(np.array_equal, first, second))
        else:
            num_redrawn += 1
    assert 5 < num_redrawn < 40


def test_partition_that_leaves_a_client_untested_is_given_up():
    table = table_of([0, 1] * 20, may_test=[True] * 3 + [False] * 37)
    with pytest.raises(DataError, match=f"no draw of {MAX_REDRAWS} gave each of 4 clients a text"):
        partition(table, IidPartition(), num_clients=4, rng=np.random.default_rng(0))
