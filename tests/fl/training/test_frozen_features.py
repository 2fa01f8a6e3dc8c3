"""Features of a frozen encoder: as of a pass through it, whoever asks first, for the head alone."""

import numpy as np
import pytest
import torch

from fl.execution.run_job import run_job
from fl.methods import METHODS
from fl.training import frozen_features
from fl.training.frozen_features import FrozenFeatures
from fl.training.job import EvaluationJob
from fl.training.worker import Worker
from tests.fl.fakes import classifier, examples
from tests.fl.training.jobs import job_of, worker_of


def features(module, table, indices):
    return FrozenFeatures(module, table).batch(np.array(indices)).features


def test_they_are_those_of_the_encoder(monkeypatch):
    monkeypatch.setattr(frozen_features, "CHUNK", 5)
    module, table = classifier(), examples(23)
    indices = np.array([3, 22, 3, 0, 11])
    found = FrozenFeatures(module, table).batch(indices)
    given = table.batch(indices)
    with torch.no_grad():
        wanted = module.features(given.input_ids, given.attention_mask, given.token_type_ids)
    torch.testing.assert_close(found.features, wanted, rtol=1e-5, atol=1e-6)
    assert torch.equal(found.labels, given.labels)
    torch.testing.assert_close(module.loss(found), module.loss(given), rtol=1e-5, atol=1e-6)


def test_who_asks_first_makes_no_difference(monkeypatch):
    monkeypatch.setattr(frozen_features, "CHUNK", 5)
    module, table = classifier(), examples(23)
    kept = FrozenFeatures(module, table)
    for order in (np.arange(23), np.arange(23)[::-1], np.random.default_rng(1).permutation(23)):
        parts = [kept.batch(order[at : at + 4]).features for at in range(0, 23, 4)]
        assert torch.equal(torch.cat(parts), features(module, table, order))


def test_the_encoder_is_run_once_a_text(monkeypatch):
    monkeypatch.setattr(frozen_features, "CHUNK", 5)
    module, table, seen = classifier(), examples(23), []
    run = module.features

    def counted(ids, *rest):
        seen.append(len(ids))
        return run(ids, *rest)

    module.features = counted
    kept = FrozenFeatures(module, table)
    kept.batch(np.array([4]))
    assert seen == [5]
    kept.batch(np.arange(23))
    kept.batch(np.arange(23))
    assert sorted(seen) == [3, 5, 5, 5, 5]


def test_an_evaluation_may_be_the_first_to_ask():
    worker = worker_of("head")
    job = EvaluationJob(
        model_key=worker.model_key,
        tensors=worker.method.initial,
        table="train",
        samples=np.arange(4),
        batch_size=2,
    )
    run_job(job, worker)
    found, wanted = run_job(job_of(worker), worker), run_job(job_of(worker), worker_of("head"))
    assert found.mean_loss == wanted.mean_loss
    for name, value in wanted.tensors.items():
        assert torch.equal(found.tensors[name], value)


def test_jobs_of_the_head_are_those_without(monkeypatch):
    worker = worker_of("head")
    found = run_job(job_of(worker), worker)
    monkeypatch.setattr(Worker, "_features", {})
    worker = worker_of("head")
    wanted = run_job(job_of(worker), worker)
    assert found.mean_loss == pytest.approx(wanted.mean_loss, rel=1e-5)
    assert found.tensors.keys() == wanted.tensors.keys()
    for name, value in wanted.tensors.items():
        torch.testing.assert_close(found.tensors[name], value, rtol=1e-4, atol=1e-6)


def test_they_are_for_those_alone_that_train_nothing_below_the_head():
    with_features = {kind for kind in METHODS if worker_of(kind)._features}
    assert with_features == {"head"}
