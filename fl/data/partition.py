"""Who holds which text: shards of the training texts, one a client, each with its own test part."""

import numpy as np
from jaxtyping import Bool, Int

from fl.by_client import ByClient
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


class Parts(ByClient[Int[np.ndarray, " own_text"]]):
    """The texts of each client, ascending.

    Parameters
    ----------
    owner
        Client of each text.
    num_clients
        How many clients.
    """

    def __init__(self, owner: Int[np.ndarray, " text"], *, num_clients: int) -> None:
        self.owner = owner
        """Client of each text."""
        self.sizes = np.bincount(owner, minlength=num_clients)
        """Texts of each client."""
        self._texts = np.argsort(owner, kind="stable")
        self._ends = np.cumsum(self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    def of_client(self, client_id: int) -> Int[np.ndarray, " own_text"]:
        """Return the texts of one client."""
        end = self._ends[client_id]
        own: Int[np.ndarray, " own_text"] = self._texts[end - self.sizes[client_id] : end]
        return own

    def num_of(self, chosen: Bool[np.ndarray, " text"] | None) -> Int[np.ndarray, " client"]:
        """Count the chosen texts of each client; all when ``None``."""
        if chosen is None:
            return self.sizes
        return np.bincount(self.owner[chosen], minlength=len(self))


def partition(
    table: TextTable,
    config: PartitionConfig,
    *,
    num_clients: int,
    rng: np.random.Generator,
) -> Parts:
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
    Parts
        Indices into ``table``, at least 2 a client, of which at least one may be tested on.

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
        owner = _share(table, config, num_clients=num_clients, rng=rng)
        parts = Parts(owner, num_clients=num_clients)
        lacks = (parts.sizes < MIN_TEXTS) | (parts.num_of(table.may_test) == 0)
        num_lacking = int(lacks.sum())
        if num_lacking == 0:
            return parts
        fewest_lacking = min(fewest_lacking, num_lacking)
    msg = (
        f"data.partition: no draw of {MAX_REDRAWS} gave each of {num_clients} clients a text that "
        f"may be tested on, got {fewest_lacking} without one at best; use fewer clients"
    )
    raise DataError(msg)


def _share(
    table: TextTable, config: PartitionConfig, *, num_clients: int, rng: np.random.Generator
) -> Int[np.ndarray, " text"]:
    """Draw one partition: the client of each text."""
    if isinstance(config, DirichletPartition):
        return _share_by_dirichlet(table.labels, config, num_clients=num_clients, rng=rng)
    if isinstance(config, DomainsPartition):
        return _share_by_domain(table, num_clients=num_clients, rng=rng)
    return _dealt(rng.permutation(len(table)), num_clients)


def _dealt(order: Int[np.ndarray, " item"], num_clients: int) -> Int[np.ndarray, " item"]:
    """Return the client of each item: the first ones in order go to client 0, and so on.

    Numbers of items differ by at most one, as those of ``numpy.array_split``.
    """
    least, num_more = divmod(len(order), num_clients)
    ids = np.arange(num_clients)
    owner = np.empty(len(order), dtype=np.int64)
    owner[order] = np.repeat(ids, np.where(ids < num_more, least + 1, least))
    return owner


def _share_by_dirichlet(
    labels: Int[np.ndarray, " text"],
    config: DirichletPartition,
    *,
    num_clients: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, " text"]:
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
            return owner
    msg = (
        f"data.partition: no draw of {MAX_DRAWS} gave each of {num_clients} clients "
        f"{config.min_texts} of {len(labels)} texts at alpha {config.alpha:g} (best: {smallest}); "
        "use fewer clients, a larger alpha or a smaller min_texts"
    )
    raise DataError(msg)


def _share_by_domain(
    table: TextTable, *, num_clients: int, rng: np.random.Generator
) -> Int[np.ndarray, " text"]:
    """Deal whole domains to clients in random order, as evenly in number as possible."""
    if table.domains is None:
        msg = "data.partition: the data has no natural domains; use iid or dirichlet"
        raise DataError(msg)
    domains, place = np.unique(table.domains, return_inverse=True)
    if len(domains) < num_clients:
        msg = (
            f"data.partition: {num_clients} clients need as many natural domains, "
            f"got {len(domains)}"
        )
        raise DataError(msg)
    owner = _dealt(rng.permutation(len(domains)), num_clients)[place]
    smallest = int(np.bincount(owner, minlength=num_clients).min())
    if smallest < MIN_TEXTS:
        msg = (
            f"data.partition: a client got a natural domain of {smallest} text, "
            f"{MIN_TEXTS} are needed; use fewer clients"
        )
        raise DataError(msg)
    return owner
