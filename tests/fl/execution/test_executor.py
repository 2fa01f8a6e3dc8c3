"""When jobs run in this process, and what is counted."""

import numpy as np
import pytest

from fl.execution.executor import InProcessExecutor
from fl.training.job import EvaluationJob
from tests.fl.training.jobs import job_of, worker_of


def test_a_job_nobody_asks_for_is_never_computed():
    worker = worker_of("local")
    executor = InProcessExecutor(worker)
    handles = [executor.submit(job_of(worker, client_id)) for client_id in range(3)]
    assert (executor.num_submitted, executor.num_computed) == (3, 0)
    assert handles[1].result() is handles[1].result()
    assert executor.num_computed == 1
    assert executor.host_training_s > 0


def evaluation(worker):
    return EvaluationJob(
        model_key="key",
        tensors=worker.method.initial,
        table="test",
        samples=np.arange(4),
        batch_size=2,
    )


def test_evaluations_are_not_counted_as_training():
    worker = worker_of("head")
    executor = InProcessExecutor(worker)
    handle = executor.submit(evaluation(worker))
    assert handle.result() is handle.result()
    assert {len(values) for values in handle.result().scores.values()} == {4}
    assert (executor.num_submitted, executor.num_computed, executor.host_training_s) == (0, 0, 0)


def test_a_dropped_job_has_no_result():
    worker = worker_of("head")
    executor = InProcessExecutor(worker)
    early, late = (executor.submit(job_of(worker, client_id)) for client_id in (0, 1))
    early.drop()
    early.drop()
    late.result()
    late.drop()
    for handle, client_id in ((early, 0), (late, 1)):
        with pytest.raises(RuntimeError, match=f"job of client {client_id} in round 1 was dropped"):
            handle.result()
    assert executor.num_computed == 1


def test_a_closed_executor_neither_takes_nor_runs():
    worker = worker_of("head")
    executor = InProcessExecutor(worker)
    handle, done = executor.submit(job_of(worker)), executor.submit(evaluation(worker))
    scores = done.result()
    executor.close()
    executor.close()
    with pytest.raises(RuntimeError, match="is closed, cannot take or run the training job of"):
        executor.submit(job_of(worker))
    with pytest.raises(RuntimeError, match="is closed"):
        handle.result()
    assert done.result() is scores
