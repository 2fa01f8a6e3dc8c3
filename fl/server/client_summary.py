"""One metric over the clients: how each counts, who has trained, and what a guess would score."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from fl.data.shards import Shard, Shards
from fl.metrics import Metric, over_clients


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSummary:
    """Means of a metric of personal models, each on the test texts of its client."""

    mean: float
    """Over clients: each counts the same."""
    std: float
    """Over clients, of the population."""
    worst10: float
    """Mean of the worst 10 % of clients, at least one."""
    text_mean: float
    """Over the test texts of all clients: a client counts by its texts."""
    num_trained: int | None
    """Clients whose training has changed their model or the global one; ``None``: not counted."""
    trained_mean: float | None
    """Mean over these; ``None`` without any."""


def summarise(
    metric: Metric,
    by_client: Sequence[Mapping[str, float]],
    *,
    is_trained: Bool[np.ndarray, " client"] | None,
) -> ClientSummary:
    """Return the means of a metric from the sums of scores of each client's texts.

    ``is_trained`` says who has trained; ``None`` where that makes no difference.
    """
    values = np.array([metric.value(sums) for sums in by_client])
    mean, std, worst10 = over_clients(values, is_lower_better=metric.is_lower_better)
    totals = {name: sum(sums[name] for sums in by_client) for name in (metric.over, metric.per)}
    trained = values[:0] if is_trained is None else values[is_trained]
    return ClientSummary(
        mean=mean,
        std=std,
        worst10=worst10,
        text_mean=metric.value(totals),
        num_trained=None if is_trained is None else len(trained),
        trained_mean=float(trained.mean()) if len(trained) else None,
    )


def counted_clients(shards: Shards, *, min_test_texts: int) -> Sequence[int]:
    """Return the clients whose personal models are measured, ascending.

    Parameters
    ----------
    shards
        Training and test texts of every client.
    min_test_texts
        Test texts that a client needs.

    Raises
    ------
    ValueError
        No client has so many; one line.
    """
    if min_test_texts == 1:  # every client has one
        return range(len(shards))
    sizes = [len(shard.test) for shard in shards]
    found = [client_id for client_id, size in enumerate(sizes) if size >= min_test_texts]
    if not found:
        msg = (
            f"server.min_test_texts: must be <= {max(sizes)}, the most test texts of any client; "
            f"got {min_test_texts}"
        )
        raise ValueError(msg)
    return found


def prior_accuracy(
    labels: Int[np.ndarray, " text"], shards: Iterable[Shard]
) -> Float[np.ndarray, " client"]:
    """Return how often each client is right who names its most frequent training class.

    The trivial baseline of personal models: it reads no text. Of equally frequent classes the first
    is named.

    Parameters
    ----------
    labels
        Classes of the table that shards index.
    shards
        Training and test texts of the clients.
    """
    found = []
    for shard in shards:
        guess = np.bincount(labels[shard.train]).argmax()
        found.append(float(np.mean(labels[shard.test] == guess)))
    return np.array(found)
