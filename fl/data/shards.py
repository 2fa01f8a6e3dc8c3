"""The shards of all clients: texts to train on and to test on, drawn when they are asked for.

Sizes are known at once for all of a million clients; which texts a client tests on is drawn by its
own address, so that it does not matter who is asked for, and when.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from fl.by_client import ByClient
from fl.data.partition import MIN_TEXTS, Parts
from fl.data.table import TextTable
from fl.network import Streams
from fl.problems import DataError

PURPOSE = "partition"
"""Purpose of the draws, by client."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The texts of one client, as indices into the training table."""

    train: Int[np.ndarray, " train_text"]
    """Texts it trains on, at least one."""
    test: Int[np.ndarray, " test_text"]
    """Texts that its personal model is tested on, at least one; never trained on."""


class Shards(ByClient[Shard]):
    """The shards of all clients, by client id."""

    @property
    @abstractmethod
    def num_train(self) -> Int[np.ndarray, " client"]:
        """Texts that each client trains on."""

    @abstractmethod
    def longest_text(self, lengths: Int[np.ndarray, " text"]) -> int:
        """Return the longest text that some client trains on; of equal ones any.

        Parameters
        ----------
        lengths
            Of every text of the training table.
        """

    def each(self, client_ids: Int[np.ndarray, " some"]) -> Iterator[Shard]:
        """Return the shards of some clients one after the other."""
        return map(self.of_client, client_ids.tolist())

    def __len__(self) -> int:
        return len(self.num_train)


class GivenShards(Shards):
    """Shards at hand.

    Parameters
    ----------
    shards
        Of the first clients, at least one.
    num_clients
        How many clients: with more than shards, these follow one another again; ``None``: as many.
    """

    def __init__(self, shards: Sequence[Shard], *, num_clients: int | None = None) -> None:
        self._shards = shards
        sizes = np.array([len(each.train) for each in shards], dtype=np.int64)
        self._num_train = np.resize(sizes, len(shards) if num_clients is None else num_clients)

    @property
    def num_train(self) -> Int[np.ndarray, " client"]:
        """Texts that each client trains on."""
        return self._num_train

    def longest_text(self, lengths: Int[np.ndarray, " text"]) -> int:
        """Return the longest text that some client trains on."""
        train = np.concatenate([each.train for each in self._shards])
        return int(train[lengths[train].argmax()])

    def of_client(self, client_id: int) -> Shard:
        """Return the shard of one client."""
        return self._shards[client_id % len(self._shards)]


class SplitShards(Shards):
    """Parts of a partition, each split when it is first asked for.

    Parameters
    ----------
    parts
        Texts of each client.
    table
        Training texts.
    test_fraction
        Part of a client's texts for testing, see :func:`split_shard`.
    streams
        Addressed randomness; used: ``partition`` by client.
    """

    def __init__(
        self, parts: Parts, table: TextTable, *, test_fraction: float, streams: Streams
    ) -> None:
        self._parts = parts
        self._table = table
        self._test_fraction = test_fraction
        self._streams = streams
        num_open = parts.num_of(table.may_test)
        self._num_train = parts.sizes - num_test_texts(parts.sizes, num_open, test_fraction)
        self._made: dict[int, Shard] = {}

    @property
    def num_train(self) -> Int[np.ndarray, " client"]:
        """Texts that each client trains on."""
        return self._num_train

    def longest_text(self, lengths: Int[np.ndarray, " text"]) -> int:
        """Return the longest text that some client trains on."""
        longest_first = np.argsort(-lengths, kind="stable")
        owners = self._parts.owner[longest_first]
        pairs = zip(longest_first, owners, strict=True)
        return int(next(text for text, owner in pairs if text in self[int(owner)].train))

    def of_client(self, client_id: int) -> Shard:
        """Return the shard of one client; the same object each time."""
        shard = self._made.get(client_id)
        if shard is None:
            shard = self._made[client_id] = split_shard(
                self._parts[client_id],
                self._table.labels,
                test_fraction=self._test_fraction,
                rng=self._streams(PURPOSE, client_id),
                may_test=self._table.may_test,
            )
        return shard


class SampledShards(Shards):
    """The same number of texts for each client, drawn out of all: clients may hold the same texts.

    Parameters
    ----------
    num_texts
        Training texts of all.
    num_own
        Texts of each client, at least 2.
    num_clients
        How many clients.
    test_fraction
        Part of a client's texts for testing; rounded, but at least one text, not all of them.
    streams
        Addressed randomness; used: ``partition`` by client.

    Raises
    ------
    fl.problems.DataError
        Fewer texts than one client needs.
    """

    def __init__(
        self,
        num_texts: int,
        *,
        num_own: int,
        num_clients: int,
        test_fraction: float,
        streams: Streams,
    ) -> None:
        if num_own > num_texts:
            msg = f"data.partition.num_texts: must be <= {num_texts} training texts, got {num_own}"
            raise DataError(msg)
        self._num_texts = num_texts
        self._num_own = num_own
        self._num_test = int(num_test_texts(num_own, num_own, test_fraction))
        self._num_train = np.full(num_clients, num_own - self._num_test)
        self._streams = streams

    @property
    def num_train(self) -> Int[np.ndarray, " client"]:
        """Texts that each client trains on."""
        return self._num_train

    def longest_text(self, lengths: Int[np.ndarray, " text"]) -> int:
        """Return the longest text of all, whether or not a client has drawn it."""
        return int(lengths.argmax())

    def of_client(self, client_id: int) -> Shard:
        """Return the shard of one client, drawn anew."""
        return self._draw(self._streams(PURPOSE, client_id))

    def each(self, client_ids: Int[np.ndarray, " some"]) -> Iterator[Shard]:
        """Return the shards of some clients one after the other."""
        return map(self._draw, self._streams.each(PURPOSE, client_ids))

    def _draw(self, rng: np.random.Generator) -> Shard:
        own = rng.choice(self._num_texts, size=self._num_own, replace=False)
        test, train = own[: self._num_test], own[self._num_test :]
        return Shard(train=np.sort(train), test=np.sort(test))


def num_test_texts(
    num_texts: Int[np.ndarray, " client"] | int,
    num_open: Int[np.ndarray, " client"] | int,
    test_fraction: float,
) -> Int[np.ndarray, " client"]:
    """Return how many texts clients keep for testing; arguments as of :func:`split_shard`.

    Parameters
    ----------
    num_texts
        Texts of each.
    num_open
        Those of them that may be tested on.
    test_fraction
        Part of all texts for testing.
    """
    wanted = np.maximum(np.round(np.asarray(num_texts) * test_fraction), 1)
    found: Int[np.ndarray, " client"] = np.minimum(
        wanted, np.minimum(num_open, np.asarray(num_texts) - 1)
    ).astype(np.int64)
    return found


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
    num_test = int(num_test_texts(num_texts, len(open_texts), test_fraction))
    shuffled = rng.permutation(open_texts)
    grouped = shuffled[np.argsort(labels[shuffled], kind="stable")]
    start = rng.random()
    steps = (np.arange(num_test) + start) * (len(grouped) / num_test)
    test = grouped[np.floor(steps).astype(np.int64)]
    return Shard(train=np.setdiff1d(indices, test), test=np.sort(test))
