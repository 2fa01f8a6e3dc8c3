"""One metric over clients: by hand."""

import numpy as np
import pytest

from fl.data.shards import GivenShards, Shard
from fl.methods.local.config import LocalConfig
from fl.metrics import METRICS
from fl.server.client_summary import prior_accuracy, summarise
from fl.server.evaluation import Evaluator
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import federation


def test_clients_count_the_same_or_by_their_texts():
    sums = [
        {"right": 1.0, "texts": 1.0},
        {"right": 2.0, "texts": 8.0},
        {"right": 1.0, "texts": 4.0},
    ]
    found = summarise(METRICS["accuracy"], sums, is_trained=np.array([False, True, True]))
    assert found.mean == pytest.approx(0.5)
    assert found.text_mean == pytest.approx(4 / 13)
    assert found.worst10 == pytest.approx(0.25)
    assert (found.num_trained, found.trained_mean) == (2, 0.25)
    nobody = summarise(METRICS["accuracy"], sums, is_trained=np.zeros(3, dtype=bool))
    assert (nobody.num_trained, nobody.trained_mean) == (0, None)


def test_perplexity_over_texts_is_that_of_all_tokens():
    sums = [{"nats": 2.0, "tokens": 1.0}, {"nats": 1.0, "tokens": 9.0}]
    found = summarise(METRICS["perplexity"], sums, is_trained=np.ones(2, dtype=bool))
    assert found.text_mean == pytest.approx(np.exp(0.3))
    assert found.mean == pytest.approx((np.exp(2.0) + np.exp(1 / 9)) / 2)


def test_prior_names_the_most_frequent_class_of_the_first_of_equals():
    labels = np.array([2, 2, 1, 0, 1, 0, 2, 1])
    shards = GivenShards(
        [
            Shard(train=np.array([0, 1, 2]), test=np.array([3, 6, 7])),
            Shard(train=np.array([3, 4, 2, 5]), test=np.array([5, 3, 7, 0])),
        ]
    )
    assert prior_accuracy(labels, shards).tolist() == pytest.approx([1 / 3, 2 / 4])


def test_rows_tell_who_has_trained():
    played = federation(LocalConfig(), num_clients=4, num_rounds=2, cohort=1)
    before = Evaluator(played).evaluate(0)[-1]
    assert (before.num_trained, before.trained_mean) == (0, None)
    played.env.run(until=played.env.process(run_rounds(played)))
    last = played.recorder.evaluations[-1]
    chosen = {row.client_id for row in played.recorder.clients}
    assert last.num_trained == len(chosen) < last.n == 4
    assert last.prior == pytest.approx(
        prior_accuracy(played.worker.train.labels, played.shards).mean()
    )
