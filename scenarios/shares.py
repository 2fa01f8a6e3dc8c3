"""What a run needs of data and devices before torch is loaded: texts, shards, devices."""

import dataclasses
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Int

from fl.clients.devices import Devices, draw_devices
from fl.data.config import DataConfig, IidPartition, SampledPartition
from fl.data.corpus import Corpus, load_corpus
from fl.data.duplicates import count_personal_duplicates
from fl.data.partition import partition
from fl.data.shards import PURPOSE, SampledShards, Shards, SplitShards
from fl.network import Streams
from netsim.streams import Purpose, each_stream, stream
from scenarios.schema import Scenario

MAX_COMPARED = 10_000
"""Most clients whose test texts are compared with training texts."""


@dataclasses.dataclass(frozen=True, slots=True)
class RunStreams:
    """Addressed randomness of one run; can be sent to another process."""

    seed: int

    def __call__(self, purpose: str, *key: int) -> np.random.Generator:
        """Return the generator at (seed, purpose, ids); ``fl`` names a purpose in lower case."""
        return stream(self.seed, Purpose[purpose.upper()], *key)

    def each(self, purpose: str, ids: Int[np.ndarray, " id"]) -> Iterator[np.random.Generator]:
        """Return the generators at (seed, purpose, id) of many ids; each is good until the next."""
        return each_stream(self.seed, Purpose[purpose.upper()], ids)


def streams_of(seed: int) -> Streams:
    """Return the addressed randomness of one run."""
    return RunStreams(seed)


def source_of(scenario: Scenario) -> DataConfig:
    """Return the settings of a scenario that decide its texts: how they are shared does not."""
    return _source(scenario.data)


def corpus_of(scenario: Scenario) -> Corpus:
    """Load the texts of a scenario; a second call costs nothing.

    Raises
    ------
    fl.problems.DataError
        One line that says what is wrong with them.
    """
    return _corpus(source_of(scenario))


def shards_of(scenario: Scenario, *, seed: int) -> Shards:
    """Share the training texts among the clients, by client id; the same for every method.

    A second call soon after costs nothing.

    Raises
    ------
    fl.problems.DataError
        One line: the texts are too few, or cannot be shared as the settings say.
    """
    return _shards(scenario.data, scenario.clients.num_clients, seed)


def devices_of(scenario: Scenario, streams: Streams) -> Devices:
    """Draw the device of every client; the same for every method."""
    return draw_devices(scenario.clients, streams=streams)


def facts_of(scenario: Scenario) -> dict[str, Any]:
    """Name, digest and classes of the data set, for the manifest and for who validates."""
    corpus = corpus_of(scenario)
    counts = [corpus.count_classes(table) for table in (corpus.train, corpus.test)]
    return {
        "name": corpus.name,
        "digest": corpus.digest,
        "num_train_texts": len(corpus.train),
        "num_test_texts": len(corpus.test),
        "num_test_texts_in_train": corpus.num_test_texts_in_train,
        "personal_test_texts": _personal_facts(scenario),
        "class_names": list(corpus.class_names),
        "num_train_texts_by_class": counts[0],
        "num_test_texts_by_class": counts[1],
    }


def _personal_facts(scenario: Scenario) -> dict[str, int] | None:
    """Count what clients are tested on under the first seed, and what of it is trained on.

    ``None`` where clients draw texts that others are tested on, and of very many clients.
    """
    is_sampled = isinstance(scenario.data.partition, SampledPartition)
    if is_sampled or scenario.clients.num_clients > MAX_COMPARED:
        return None
    shards = shards_of(scenario, seed=scenario.seeds[0])
    found = count_personal_duplicates(shards, corpus_of(scenario).train)
    return dataclasses.asdict(found)


@lru_cache(maxsize=16)
def _shards(data: DataConfig, num_clients: int, seed: int) -> Shards:
    table, streams = _corpus(_source(data)).train, streams_of(seed)
    if isinstance(data.partition, SampledPartition):
        return SampledShards(
            len(table),
            num_own=data.partition.num_texts,
            num_clients=num_clients,
            test_fraction=data.test_fraction,
            streams=streams,
        )
    parts = partition(table, data.partition, num_clients=num_clients, rng=streams(PURPOSE))
    return SplitShards(parts, table, test_fraction=data.test_fraction, streams=streams)


def _source(data: DataConfig) -> DataConfig:
    return dataclasses.replace(data, partition=IidPartition())


@lru_cache(maxsize=2)
def _corpus(source: DataConfig) -> Corpus:
    return load_corpus(source)
