"""Jobs of either kind, run here and now."""

import numpy as np
import pytest
import torch

from fl.execution.procedures import procedure_of
from fl.execution.run_job import run_job
from fl.training.job import EvaluationJob, EvaluationResult, TrainResult
from tests.fl.training.jobs import SETTINGS, job_of, worker_of


def test_each_kind_of_job_gives_its_kind_of_result():
    worker = worker_of("head")
    trained = run_job(job_of(worker, 1), worker)
    assert isinstance(trained, TrainResult)
    assert (trained.num_samples, trained.num_steps) == (20, 4)
    scored = run_job(
        EvaluationJob(
            model_key="key",
            tensors=trained.tensors,
            table="test",
            samples=np.arange(7),
            batch_size=3,
        ),
        worker,
    )
    assert isinstance(scored, EvaluationResult)
    worker.load(trained.tensors)
    batch = worker.test.batch(np.arange(7))
    with torch.no_grad():
        chosen = worker.module(batch.input_ids, batch.attention_mask).argmax(dim=1)
    assert scored.scores["texts"].tolist() == [1.0] * 7
    assert scored.scores["right"].tolist() == (chosen == batch.labels).tolist()


def test_the_procedure_goes_by_settings_method_and_texts():
    worker = worker_of("head")
    procedure = procedure_of(SETTINGS, worker)
    assert (procedure.settings, procedure.method, procedure.train) == (
        SETTINGS,
        worker.method,
        worker.train,
    )
    plan = procedure.plan(np.arange(20), seed=11)
    assert [len(batch) for batch in plan.steps] == [8] * 4
    assert plan.forward == ()


def test_a_job_for_another_worker_is_refused():
    worker = worker_of("head")
    with pytest.raises(ValueError, match="job was made for other, worker holds key"):
        run_job(job_of(worker, model_key="other"), worker)
