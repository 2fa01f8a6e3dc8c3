"""What is foreseen of a participation against what one takes."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from fl.server.forecast import JobForecast
from fl.server.modes import run_server
from fl.training.config import TrainingConfig
from tests.fl.fakes import NUM_POSITIONS, SMALLEST, VOCABULARY_SIZE, federation
from tests.fl.server.writing import SHAPE, written_by

IDS = np.arange(4)


class Watching:
    """Selects all, and keeps what is foreseen of them."""

    def __init__(self):
        self.seen = []

    def select(self, view, *, rng):
        clients = view.candidates
        self.seen.append(
            (clients.compute_s, clients.compute_j, clients.download_bytes, clients.upload_bytes)
        )
        return clients.client_id


def played(config, **options):
    """Two rounds of one epoch of a single batch: the padding of a job is always the same."""
    training = TrainingConfig(local_epochs=1, batch_size=64, learning_rate=5e-3)
    made = federation(config, cohort=4, num_rounds=2, training=training, **options)
    made.policy = Watching()
    made.env.run(until=made.env.process(run_server(made)))
    return made


def of_one_batch(config):
    """Let a method that samples answers ask for one to every prompt, too."""
    if config.kind == "pfit":
        return replace(config, policy=replace(config.policy, prompts_per_step=64))
    if config.kind == "pwff":
        policy = replace(config.alignment.policy, prompts_per_step=64)
        return replace(config, alignment=replace(config.alignment, policy=policy))
    return config


def compare(made):
    sent = Counter()
    for each in made.network.transfers:
        sent[each.participation_id, each.direction] += each.size_bytes
    rows = made.recorder.clients
    assert len(made.policy.seen) == 2
    for at, (compute_s, compute_j, download_bytes, upload_bytes) in enumerate(made.policy.seen):
        of_round = rows[4 * at : 4 * at + 4]
        np.testing.assert_allclose(
            compute_s, [row.compute_s for row in of_round], atol=1e-12, rtol=1e-9
        )
        np.testing.assert_allclose(
            compute_j, [row.compute_j for row in of_round], atol=1e-12, rtol=1e-9
        )
        ids = [row.participation_id for row in of_round]
        assert download_bytes.tolist() == [sent[each, "downlink"] for each in ids]
        assert upload_bytes.tolist() == [sent[each, "uplink"] for each in ids]


@pytest.mark.parametrize("kind", sorted(SMALLEST))
def test_a_participation_takes_what_was_foreseen(kind):
    compare(played(of_one_batch(SMALLEST[kind])))


def test_the_cost_of_a_larger_architecture_is_foreseen_where_it_is_charged(tmp_path):
    larger = tmp_path / "config.json"
    sizes = {"num_hidden_layers": 3, "hidden_size": 64, "intermediate_size": 128}
    heads = {"num_attention_heads": 4, "max_position_embeddings": NUM_POSITIONS}
    kind = {"model_type": "bert", "vocab_size": VOCABULARY_SIZE}
    larger.write_text(json.dumps({**kind, **sizes, **heads}), encoding="utf-8")
    small, large = played(SMALLEST["fedit"]), played(SMALLEST["fedit"], cost_as=larger)
    compare(large)
    assert (large.policy.seen[0][0] > 2 * small.policy.seen[0][0]).all()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_jobs_write_is_foreseen(monkeypatch, precision):
    options = {"task": "generation", "precision": precision}
    trained = played(SMALLEST["fedit"], **options)
    monkeypatch.setattr("fl.server.build.procedure_of", written_by)
    written = played(SMALLEST["fedit"], **options)
    compare(written)
    work = written.cost.generation_work(**SHAPE, tensors=written.method.initial)
    seconds = [device.compute_s(work) for device in written.devices]
    found = written.policy.seen[0][0] - trained.policy.seen[0][0]
    np.testing.assert_allclose(found, seconds, rtol=1e-9)


def test_with_batches_drawn_anew_seconds_are_close():
    made = federation(SMALLEST["fedit"], cohort=4, num_rounds=1)
    forecast = JobForecast(made).compute_s(IDS)
    made.env.run(until=made.env.process(run_server(made)))
    np.testing.assert_allclose(forecast, [row.compute_s for row in made.recorder.clients], rtol=0.1)


def test_seconds_of_each_client_are_worked_out_once(monkeypatch):
    made = federation(SMALLEST["fedit"])
    forecast, counted = JobForecast(made), []

    def seconds(client_ids, start):
        counted.extend(client_ids.tolist())
        return np.full(len(client_ids), 8.0)

    monkeypatch.setattr(forecast, "_seconds", seconds)
    assert forecast.compute_s(np.array([1, 3])).tolist() == [8, 8]
    assert forecast.compute_s(IDS).tolist() == [8, 8, 8, 8]
    assert counted == [1, 3, 0, 2]
