"""Evaluation: each personal model on its client's texts, and what is not evaluated again."""

import time

import numpy as np
import pytest

from fl.data.shards import GivenShards, Shard
from fl.methods.fedit.config import FeditConfig
from fl.methods.head.config import HeadConfig
from fl.methods.local.config import LocalConfig
from fl.methods.pftt.config import PfttConfig
from fl.server.client_summary import prior_accuracy
from fl.server.evaluation import Evaluation, Evaluator
from fl.server.modes.sync import run_rounds
from fl.training.job import EvaluationJob
from tests.fl.fakes import federation


def run(played):
    played.env.run(until=played.env.process(run_rounds(played)))
    return played.recorder


def watch_evaluations(played):
    """Texts of each evaluation job from now on, by table."""
    seen, submit = [], played.executor.submit

    def watched(job, **options):
        if isinstance(job, EvaluationJob):
            seen.append((job.table, len(job.samples)))
        return submit(job, **options)

    played.executor.submit = watched
    return seen


def test_personal_rows_are_those_of_each_client_evaluated_alone():
    played = federation(PfttConfig(), num_rounds=4)
    rows = run(played)
    accuracies = []
    for client_id, shard in enumerate(played.shards):
        held = played.personal.of(client_id)
        played.worker.load(played.method.personal_model(played.state, held))
        right = 0
        for index in shard.test:
            batch = played.worker.train.batch(np.array([index]))
            scores = played.worker.module(batch.input_ids, batch.attention_mask)
            right += int(scores.argmax() == batch.labels)
        accuracies.append(right / len(shard.test))
    last = rows.evaluations[-1]
    assert last.mean == pytest.approx(np.mean(accuracies), rel=1e-12)
    assert last.worst10 == pytest.approx(min(accuracies), rel=1e-12)
    assert last.n == len(accuracies)
    scores = rows.of_scores[-len(accuracies) :]
    assert [score.value for score in scores] == pytest.approx(accuracies, rel=1e-12)
    assert [score.client_id for score in scores] == list(range(len(accuracies)))
    assert {(s.round, s.metric, s.split) for s in scores} == {(4, "accuracy", "personal")}


def test_a_model_that_did_not_change_is_not_evaluated_again():
    played = federation(LocalConfig(), num_clients=4)
    sizes = [len(shard.test) for shard in played.shards]
    seen, evaluator = watch_evaluations(played), Evaluator(played)
    first = evaluator.evaluate(0)
    assert seen == [("train", sum(sizes))]  # all clients have one model: one job
    assert evaluator.evaluate(1) == [type(row)(**{**as_dict(row), "round": 1}) for row in first]
    assert len(seen) == 1
    own = {name: value + 0.5 for name, value in played.personal.of(2).items()}
    played.personal.keep(2, own)
    evaluator.evaluate(2)
    assert seen[1:] == [("train", sizes[2])]


def as_dict(row):
    return {name: getattr(row, name) for name in row.__slots__}


def test_the_server_s_model_is_scored_on_the_common_texts():
    played = federation(FeditConfig(), num_clients=2)
    seen = watch_evaluations(played)
    of_server, of_clients = Evaluator(played).evaluate(5)
    assert seen[0] == ("test", 100)
    assert (of_server.split, of_server.n, of_server.std, of_server.round) == ("global", 100, 0, 5)
    test = played.worker.test
    played.worker.load(played.method.global_model(played.state))
    right = 0
    for index in range(100):
        batch = test.batch(np.array([index]))
        scores = played.worker.module(batch.input_ids, batch.attention_mask)
        right += int(scores.argmax() == batch.labels)
    assert of_server.mean == of_server.worst10 == pytest.approx(right / 100, abs=1e-12)
    assert (of_clients.split, of_clients.n, of_clients.metric) == ("personal", 2, "accuracy")


def test_rows_carry_what_was_spent_until_then():
    played = federation(FeditConfig(), num_rounds=2)
    rows = run(played)
    last, row = rows.rounds[-1], rows.evaluations[-1]
    assert (row.at_s, row.energy_j) == (last.finished_at_s, last.energy_j)
    assert row.uplink_bytes == sum(each.uplink_bytes for each in rows.rounds)
    assert row.downlink_bytes == sum(each.downlink_bytes for each in rows.rounds) > 0
    first = rows.evaluations[0]
    assert (first.at_s, first.energy_j, first.uplink_bytes, first.downlink_bytes) == (0, 0, 0, 0)


def test_clients_with_few_test_texts_are_left_out_of_all_means():
    sizes = [2, 5, 3, 6]
    given = [
        Shard(train=np.arange(40 * each, 40 * each + 20), test=40 * each + 20 + np.arange(size))
        for each, size in enumerate(sizes)
    ]

    def rows(floor):
        played = federation(LocalConfig(), num_clients=4, min_test_texts=floor)
        played.shards = GivenShards(given)
        for client_id in (1, 2):
            first = played.personal.of(client_id)
            own = {name: value + 0.3 * client_id for name, value in first.items()}
            played.personal.keep(client_id, own)
        return played, Evaluator(played).evaluate(0)[0]

    _, of_all = rows(1)
    assert (of_all.n, of_all.num_trained, of_all.num_left_out) == (4, 2, 0)
    played, row = rows(4)
    assert (row.n, row.num_trained, row.num_left_out) == (2, 1, 2)
    alone = [rows(floor)[1].mean for floor in (6,)]
    assert alone[0] == pytest.approx(row.mean * 2 - row.trained_mean, abs=1e-12)
    labels = played.worker.train.labels
    assert row.prior == pytest.approx(prior_accuracy(labels, [given[1], given[3]]).mean())
    with pytest.raises(ValueError, match=r"server\.min_test_texts: must be <= 6, .* got 7"):
        rows(7)


def test_waiting_for_scores_is_host_time_of_evaluation(monkeypatch):
    waits, plain = [], Evaluation.wait

    def slow(evaluation):
        waits.append(evaluation)
        time.sleep(0.02)
        plain(evaluation)

    monkeypatch.setattr(Evaluation, "wait", slow)
    played = federation(HeadConfig(), num_clients=2, num_rounds=2)
    played.env.run(until=played.env.process(run_rounds(played)))
    assert played.host_evaluation_s >= 0.02 * len(waits) > 0
