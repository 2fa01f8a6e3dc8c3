"""Who holds which text: shards of the training texts, one a client, each with its own test part."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from fl.data.config import (
    DirichletPartition,
    DomainsPartition,
    PartitionConfig,
)
from fl.data.corpus import TextTable
from fl.problems import DataError

MAX_DRAWS = 200
"""Draws of a Dirichlet partition before it is given up."""
MIN_TEXTS = 2
"""Fewest texts of a client under any partition: one to train on, one to test on."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The texts of one client, as indices into the training table."""

    train: Int[np.ndarray, " train_text"]
    """Texts it trains on, at least one."""
    test: Int[np.ndarray, " test_text"]
    """Texts that its personal model is tested on, at least one; never trained on."""


def partition(
    table: TextTable,
    config: PartitionConfig,
    *,
    num_clients: int,
    rng: np.random.Generator,
) -> list[Int[np.ndarray, " _"]]:
    """Share all texts among clients: every text goes to exactly one of them.

    Parameters
    ----------
    table
        Training texts.
    config
        How they are shared.
    num_clients
        Clients, at least 1.
    rng
        Addressed generator; must not depend on the method, so that variants share one split.

    Returns
    -------
    Ascending indices into ``table``, one array a client, each of at least 2 texts.

    Raises
    ------
    fl.problems.DataError
        Fewer texts or domains than the clients need.
    """
    fewest = config.min_texts if isinstance(config, DirichletPartition) else MIN_TEXTS
    if len(table) < fewest * num_clients:
        msg = (
            f"clients.num_clients: {num_clients} clients need {fewest} texts each, "
            f"{fewest * num_clients} in all, got {len(table)} training texts"
        )
        raise DataError(msg)
    if isinstance(config, DirichletPartition):
        return _share_by_dirichlet(table.labels, config, num_clients=num_clients, rng=rng)
    if isinstance(config, DomainsPartition):
        return _share_by_domain(table, num_clients=num_clients, rng=rng)
    order = rng.permutation(len(table))
    return [np.sort(part) for part in np.array_split(order, num_clients)]


def split_shard(
    indices: Int[np.ndarray, " own_text"],
    labels: Int[np.ndarray, " text"],
    *,
    test_fraction: float,
    rng: np.random.Generator,
) -> Shard:
    """Split one client's texts into a training and a test part with like class shares.

    Texts are shuffled, grouped by class, and taken at even steps for the test part, so that the
    number of test texts of a class is within one of its share.

    Parameters
    ----------
    indices
        Texts of the client, at least 2.
    labels
        Class of each text of the whole training table.
    test_fraction
        Part for testing, in (0, 1); rounded, but at least one text and not all of them.
    rng
        Addressed generator of this client.
    """
    num_texts = len(indices)
    if num_texts < MIN_TEXTS:
        msg = f"indices: must hold at least {MIN_TEXTS} texts, got {num_texts}"
        raise ValueError(msg)
    num_test = int(np.clip(round(num_texts * test_fraction), 1, num_texts - 1))
    shuffled = rng.permutation(indices)
    grouped = shuffled[np.argsort(labels[shuffled], kind="stable")]
    start = rng.random()
    taken = np.floor((np.arange(num_test) + start) * (num_texts / num_test)).astype(np.int64)
    is_test = np.zeros(num_texts, dtype=bool)
    is_test[taken] = True
    return Shard(train=np.sort(grouped[~is_test]), test=np.sort(grouped[is_test]))


def _share_by_dirichlet(
    labels: Int[np.ndarray, " text"],
    config: DirichletPartition,
    *,
    num_clients: int,
    rng: np.random.Generator,
) -> list[Int[np.ndarray, " _"]]:
    """Cut each class at Dirichlet proportions; draw all anew until no client is too small.

    The usual label skew of federated studies. Conditioning on the smallest client makes very
    skewed draws rarer than the plain law would: with a large ``min_texts`` the partition is less
    skewed than ``alpha`` alone says.
    """
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    smallest = 0
    for _ in range(MAX_DRAWS):
        owner = np.empty(len(labels), dtype=np.int64)
        for rows in classes:
            shares = rng.dirichlet(np.full(num_clients, config.alpha))
            bounds = np.round(np.cumsum(shares) * len(rows)).astype(np.int64)
            ranks = np.arange(len(rows))
            owner[rng.permutation(rows)] = np.minimum(
                np.searchsorted(bounds, ranks, side="right"), num_clients - 1
            )
        smallest = max(smallest, int(np.bincount(owner, minlength=num_clients).min()))
        if np.bincount(owner, minlength=num_clients).min() >= config.min_texts:
            return [np.flatnonzero(owner == client) for client in range(num_clients)]
    msg = (
        f"data.partition: no draw of {MAX_DRAWS} gave each of {num_clients} clients "
        f"{config.min_texts} of {len(labels)} texts at alpha {config.alpha:g} (best: {smallest}); "
        "use fewer clients, a larger alpha or a smaller min_texts"
    )
    raise DataError(msg)


def _share_by_domain(
    table: TextTable, *, num_clients: int, rng: np.random.Generator
) -> list[Int[np.ndarray, " _"]]:
    """Deal whole domains to clients in random order, as evenly in number as possible."""
    if table.domains is None:
        msg = "data.partition: the data has no natural domains; use iid or dirichlet"
        raise DataError(msg)
    domains = np.unique(table.domains)
    if len(domains) < num_clients:
        msg = (
            f"data.partition: {num_clients} clients need as many natural domains, "
            f"got {len(domains)}"
        )
        raise DataError(msg)
    hands = np.array_split(rng.permutation(domains), num_clients)
    shards = [np.flatnonzero(np.isin(table.domains, hand)) for hand in hands]
    smallest = min(len(shard) for shard in shards)
    if smallest < MIN_TEXTS:
        msg = (
            f"data.partition: a client got a natural domain of {smallest} text, "
            f"{MIN_TEXTS} are needed; use fewer clients"
        )
        raise DataError(msg)
    return shards
