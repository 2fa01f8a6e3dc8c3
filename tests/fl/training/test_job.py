"""Inputs of jobs: their digest, their settings, their names."""

from dataclasses import replace

import numpy as np
import torch

from fl.training.config import TrainingConfig
from fl.training.job import EvaluationJob, JobSettings
from tests.fl.training.jobs import SETTINGS, job_of, worker_of


def test_digest_moves_with_every_input():
    worker = worker_of("fedit")
    job = job_of(worker)
    name = job.start.trainable[0]
    nudged = {**job.start.tensors, name: job.start.tensors[name] + 1e-6}
    others = [
        replace(job, seed=12),
        replace(job, round=2),
        replace(job, client_id=1),
        replace(job, model_key="other"),
        replace(job, samples=job.samples[::-1]),
        replace(job, settings=replace(SETTINGS, learning_rate=2e-2)),
        replace(job, start=replace(job.start, tensors=nudged)),
        replace(job, start=replace(job.start, trainable=job.start.trainable[1:])),
        replace(job, version=1),
        replace(job, start=replace(job.start, client_outputs={name: torch.zeros(1)})),
        replace(job, samples=job.samples[:-1]),
    ]
    digests = {job.digest(), *(other.digest() for other in others)}
    assert len(digests) == 1 + len(others)
    assert replace(job, samples=job.samples.copy()).digest() == job.digest()


def test_digest_of_an_evaluation_moves_with_every_input():
    job = EvaluationJob(
        model_key="key",
        tensors={"w": torch.arange(4.0)},
        table="train",
        samples=np.arange(3),
        batch_size=2,
    )
    others = [
        replace(job, model_key="other"),
        replace(job, tensors={"v": torch.arange(4.0)}),
        replace(job, tensors={"w": torch.arange(4.0).reshape(2, 2)}),
        replace(job, tensors={"w": torch.arange(4.0).to(torch.float64)}),
        replace(job, tensors={"w": torch.arange(4.0) + 1}),
        replace(job, table="test"),
        replace(job, samples=np.array([0, 2, 1])),
        replace(job, batch_size=3),
        replace(job, max_new_tokens=5),
    ]
    assert len({job.digest(), *(other.digest() for other in others)}) == 1 + len(others)
    same = replace(
        job, tensors={"w": torch.arange(8.0)[::2] / 2}, samples=np.arange(3, dtype=np.int32)
    )
    assert same.digest() == job.digest()  # neither memory layout nor width of indices matters


def test_names_say_whose_job_it_is():
    job = job_of(worker_of("head"), 2, round=7)
    assert job.describe() == "training job of client 2 in round 7"
    of_scores = EvaluationJob(
        model_key="key", tensors={}, table="test", samples=np.arange(9), batch_size=2
    )
    assert of_scores.describe() == "evaluation job on 9 texts of the test table"


def test_settings_of_a_job_are_those_of_the_study_but_for_a_rate_of_the_method():
    study = TrainingConfig(
        local_steps=3, batch_size=5, learning_rate=0.5, weight_decay=0.25, max_gradient_norm=2.0
    )
    expected = JobSettings(
        local_steps=3,
        local_epochs=None,
        batch_size=5,
        learning_rate=0.5,
        weight_decay=0.25,
        max_gradient_norm=2.0,
    )
    assert JobSettings.of(study, learning_rate=None) == expected
    assert JobSettings.of(study, learning_rate=0.125) == replace(expected, learning_rate=0.125)
