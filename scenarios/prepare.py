"""What a run needs before its clock starts: texts, tokens, shards; loaded once a process.

Everything here can fail on bad input, and does so before a result folder exists.
"""

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from fl.data.config import DataConfig, IidPartition
from fl.data.corpus import Corpus, load_corpus
from fl.data.partition import Shard, partition, split_shard
from fl.models.backbone import Backbone, load_backbone
from fl.models.config import ModelConfig
from fl.models.tokens import TokenTable, tokenize_table
from fl.network import Streams
from netsim.streams import Purpose, stream
from scenarios.schema import Scenario


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The data set of a scenario as text and as tokens of its model."""

    corpus: Corpus
    train: TokenTable
    test: TokenTable


def streams_of(seed: int) -> Streams:
    """Give the addressed randomness of one run; ``fl`` names a purpose in lower case."""

    def draw(purpose: str, *key: int) -> np.random.Generator:
        return stream(seed, Purpose[purpose.upper()], *key)

    return draw


def texts_of(scenario: Scenario) -> Texts:
    """Load and tokenise the texts of a scenario; a second call costs nothing."""
    source = dataclasses.replace(scenario.data, partition=IidPartition())
    return _texts(source, scenario.model)


def backbone_of(scenario: Scenario, *, num_classes: int, seed: int) -> Backbone:
    """Load a fresh backbone for one run: a method will put its tensors into it."""
    rng = stream(seed, Purpose.MODEL_INIT)
    return load_backbone(scenario.model, num_classes=num_classes, rng=rng, task=scenario.data.task)


def shards_of(scenario: Scenario, corpus: Corpus, streams: Streams) -> list[Shard]:
    """Share the training texts among the clients; the same for every method."""
    parts = partition(
        corpus.train,
        scenario.data.partition,
        num_clients=scenario.clients.num_clients,
        rng=streams("partition"),
    )
    return [
        split_shard(
            part,
            corpus.train.labels,
            test_fraction=scenario.data.test_fraction,
            rng=streams("partition", client_id),
            may_test=corpus.train.may_test,
        )
        for client_id, part in enumerate(parts)
    ]


def facts_of(scenario: Scenario) -> dict[str, Any]:
    """Name and digest of the data set, for the manifest."""
    corpus = texts_of(scenario).corpus
    return {
        "name": corpus.name,
        "digest": corpus.digest,
        "num_train_texts": len(corpus.train),
        "num_test_texts": len(corpus.test),
        "num_test_texts_in_train": corpus.num_test_texts_in_train,
        "class_names": list(corpus.class_names),
    }


@lru_cache(maxsize=2)
def _texts(data: DataConfig, model: ModelConfig) -> Texts:
    corpus = load_corpus(data)
    # the tokenizer comes with the model; the head drawn here is thrown away with it
    backbone = load_backbone(
        model,
        num_classes=len(corpus.class_names),
        rng=stream(0, Purpose.MODEL_INIT),
        task=data.task,
    )
    return Texts(
        corpus=corpus,
        train=tokenize_table(corpus.train, backbone),
        test=tokenize_table(corpus.test, backbone),
    )
