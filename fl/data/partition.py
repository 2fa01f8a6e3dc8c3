"""Who holds which text: shards of the training texts, one a client, each with its own test part."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from fl.data.config import (
    DirichletPartition,
    DomainsPartition,
    PartitionConfig,
)
from fl.data.table import TextTable
from fl.problems import DataError

MAX_DRAWS = 200
"""Draws of a Dirichlet partition before it is given up."""
MAX_REDRAWS = 50
"""Draws of any partition before a client without a text to test on is given up."""
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

    Where only some texts may be tested on, the partition is drawn anew until each client has one.

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
    Ascending indices into ``table``, one array a client, each of at least 2 texts, of which at
    least one may be tested on.

    Raises
    ------
    fl.problems.DataError
        Fewer texts or domains than the clients need, or no draw gave each a text to test on.
    """
    fewest = config.min_texts if isinstance(config, DirichletPartition) else MIN_TEXTS
    if len(table) < fewest * num_clients:
        msg = (
            f"clients.num_clients: {num_clients} clients need {fewest} texts each, "
            f"{fewest * num_clients} in all, got {len(table)} training texts"
        )
        raise DataError(msg)
    fewest_lacking = num_clients
    for _ in range(MAX_REDRAWS):
        parts = _share(table, config, num_clients=num_clients, rng=rng)
        num_lacking = sum(not can_test(part, table.may_test) for part in parts)
        if num_lacking == 0:
            return parts
        fewest_lacking = min(fewest_lacking, num_lacking)
    msg = (
        f"data.partition: no draw of {MAX_REDRAWS} gave each of {num_clients} clients a text that "
        f"may be tested on, got {fewest_lacking} without one at best; use fewer clients"
    )
    raise DataError(msg)


def can_test(
    indices: Int[np.ndarray, " own_text"], may_test: Bool[np.ndarray, " text"] | None
) -> bool:
    """Return whether a client with these texts has one to test on and another to train on."""
    has_test = may_test is None or bool(may_test[indices].any())
    return len(indices) >= MIN_TEXTS and has_test


def _share(
    table: TextTable, config: PartitionConfig, *, num_clients: int, rng: np.random.Generator
) -> list[Int[np.ndarray, " _"]]:
    """Draw one partition."""
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
    may_test: Bool[np.ndarray, " text"] | None = None,
) -> Shard:
    """Split one client's texts into a training and a test part with like class shares.

    The texts that may be tested on are shuffled, grouped by class, and taken at even steps for the
    test part, so that the number of test texts of a class is within one of its share of them.

    Parameters
    ----------
    indices
        Texts of the client, at least 2.
    labels
        Class of each text of the whole training table.
    test_fraction
        Part of all texts for testing, in (0, 1); rounded, but at least one text, not all of them,
        and no more than may be tested on.
    rng
        Addressed generator of this client.
    may_test
        Whether each text of the whole training table may be tested on; each may when ``None``.

    Raises
    ------
    ValueError
        Fewer than 2 texts, or none that may be tested on.
    """
    num_texts = len(indices)
    if num_texts < MIN_TEXTS:
        msg = f"indices: must hold at least {MIN_TEXTS} texts, got {num_texts}"
        raise ValueError(msg)
    open_texts = indices if may_test is None else indices[may_test[indices]]
    if len(open_texts) == 0:
        msg = f"may_test: must hold for at least 1 of the {num_texts} texts, got 0"
        raise ValueError(msg)
    most = min(len(open_texts), num_texts - 1)
    num_test = int(np.clip(round(num_texts * test_fraction), 1, most))
    shuffled = rng.permutation(open_texts)
    grouped = shuffled[np.argsort(labels[shuffled], kind="stable")]
    start = rng.random()
    steps = (np.arange(num_test) + start) * (len(grouped) / num_test)
    test = grouped[np.floor(steps).astype(np.int64)]
    return Shard(train=np.setdiff1d(indices, test), test=np.sort(test))


def _share_by_dirichlet(
    labels: Int[np.ndarray, " text"],
    config: DirichletPartition,
    *,
    num_clients: int,
    rng: np.random.Generator,
) -> list[Int[np.ndarray, " _"]]:
    """Cut each class at Dirichlet proportions; draw all anew until no client is too small.

    The usual label skew of federated studies. Conditioning on the smallest client makes very
    skewed draws rarer than in the plain distribution: with a large ``min_texts`` the partition is
    less skewed than ``alpha`` alone says.
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
