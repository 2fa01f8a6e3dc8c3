"""Results of jobs in a folder: the same to the bit, found by what decides them, safe to share."""

import dataclasses
import errno
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fl.execution import store_file
from fl.execution.executor import InProcessExecutor
from fl.execution.run_job import run_job
from fl.execution.store import ResultStore, StoreWriteError
from fl.methods import METHODS
from fl.training.job import EvaluationJob
from tests.fl.training.jobs import job_of, worker_of


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "store")


class Runner:
    """Runs jobs on a worker, and notes which."""

    def __init__(self, worker):
        self.worker = worker
        self.jobs = []

    def __call__(self, job):
        self.jobs.append(job)
        return run_job(job, self.worker)


def unasked(job):
    pytest.fail(f"{job.describe()} was run again")


def evaluation_of(worker):
    return EvaluationJob(
        model_key=worker.model_key,
        tensors=worker.method.initial,
        table="test",
        samples=np.arange(4),
        batch_size=2,
    )


@pytest.mark.parametrize("kind", METHODS)
def test_a_stored_result_is_the_result_to_the_bit(kind, store):
    worker = worker_of(kind)
    job = job_of(worker)
    result = store.trained(job, Runner(worker))
    again = store.trained(job, unasked)
    assert list(again.tensors) == list(result.tensors)
    for name, value in result.tensors.items():
        assert torch.equal(again.tensors[name], value)
        assert again.tensors[name].dtype == value.dtype
        is_untrained = value is job.start.tensors.get(name)
        assert (again.tensors[name] is job.start.tensors.get(name)) == is_untrained
    assert (again.mean_loss, again.rms_loss, again.num_samples, again.num_steps) == (
        result.mean_loss,
        result.rms_loss,
        result.num_samples,
        result.num_steps,
    )


def test_another_process_computes_nothing_again(store):
    worker = worker_of("fedit")
    jobs = [job_of(worker, client_id) for client_id in range(2)]
    first, second = (InProcessExecutor(worker, store=store) for _ in range(2))
    made = [first.submit(job).result() for job in jobs]
    found = [second.submit(job).result() for job in jobs]
    assert (first.num_computed, second.num_computed) == (2, 0)
    assert (first.num_submitted, second.num_submitted) == (2, 2)
    for one, other in zip(made, found, strict=True):
        assert one.tensors.keys() == other.tensors.keys()
        assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def test_scores_are_stored_as_they_are(store, monkeypatch):
    worker = worker_of("head")
    job = evaluation_of(worker)
    made = InProcessExecutor(worker, store=store).submit(job).result()
    monkeypatch.setattr("fl.execution.executor.run_job", None)  # nothing may be run
    found = InProcessExecutor(worker, store=store).submit(job).result()
    assert list(found.scores) == list(made.scores)
    for name, values in made.scores.items():
        assert found.scores[name].dtype == values.dtype
        np.testing.assert_array_equal(found.scores[name], values)


def test_whatever_decides_a_result_is_looked_at(store):
    worker = worker_of("fedit")
    job = job_of(worker)
    result, asked = run_job(job, worker), []

    def known(job):
        asked.append(job)
        return result

    store.trained(job, known)
    name = job.start.trainable[0]
    moved = {**job.start.tensors, name: job.start.tensors[name] + 1e-3}
    for other in (
        dataclasses.replace(job, seed=job.seed + 1),
        dataclasses.replace(job, version=job.version + 1),
        dataclasses.replace(job, model_key="another"),
        dataclasses.replace(job, samples=job.samples[:-1]),
        dataclasses.replace(job, start=dataclasses.replace(job.start, tensors=moved)),
        dataclasses.replace(job, settings=dataclasses.replace(job.settings, learning_rate=0.123)),
    ):
        store.trained(other, known)
        assert asked[-1] is other


@pytest.mark.parametrize("make", [job_of, evaluation_of])
def test_a_job_is_hashed_once(make, store, monkeypatch):
    worker = worker_of("fedit")
    job, hashed = make(worker), []
    digest = type(job).digest
    monkeypatch.setattr(type(job), "digest", lambda self: hashed.append(1) or digest(self))
    for count in (1, 2):  # at first nobody knows the result, then it is read
        InProcessExecutor(worker, store=store).submit(job).result()
        assert len(hashed) == count


@pytest.mark.parametrize("damage", [b"", b"not a tensor", None])
def test_a_damaged_file_is_told_of_once_and_computed_again(store, tmp_path, damage, caplog):
    worker = worker_of("head")
    job = job_of(worker)
    runner = Runner(worker)
    result = store.trained(job, runner)
    (path,) = (tmp_path / "store").rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-8] if damage is None else damage)
    assert store.trained(job, runner).mean_loss == result.mean_loss
    assert len(runner.jobs) == 2
    (told,) = caplog.messages
    assert told.startswith(f"{path}: ")
    assert told.endswith("; it is computed again")
    assert store.trained(job, unasked).mean_loss == result.mean_loss
    assert not list((tmp_path / "store").rglob("*.part"))


@pytest.mark.parametrize("version", ["0", "2", None])
def test_an_entry_of_another_version_is_told_of_once_and_replaced(
    store, tmp_path, version, caplog, monkeypatch
):
    worker = worker_of("head")
    for make, ask in ((job_of, store.trained), (evaluation_of, store.evaluated)):
        job, runner = make(worker), Runner(worker)
        ask(job, runner)
        (path,) = (tmp_path / "store").rglob(f"{job.digest()}.safetensors")
        _, whole = store_file.read_entry(path)
        if version is None:
            save_file({"loss": torch.ones(2)}, path)  # of somebody else
        else:
            monkeypatch.setattr("fl.execution.store_file.FORMAT", version)
            tensors = {"of another layout": torch.ones(2)}
            store_file.write_entry(path, tensors, {"names": "another"})
            monkeypatch.undo()
        caplog.clear()
        ask(job, runner)
        assert len(runner.jobs) == 2
        (told,) = caplog.messages
        assert told == f"{path}: format must be 1, got {version}; it is computed again"
        assert store_file.read_entry(path)[1] == whole
        ask(job, unasked)


def test_what_is_read_goes_later(tmp_path):
    worker = worker_of("fedit")
    first, second, third = (job_of(worker, client_id) for client_id in range(3))
    runner = Runner(worker)
    ResultStore(tmp_path).trained(first, runner)
    (path,) = tmp_path.rglob("*.safetensors")
    limited = ResultStore(tmp_path, max_bytes=int(2.5 * path.stat().st_size))
    limited.trained(second, runner)
    for each in tmp_path.rglob("*.safetensors"):
        os.utime(each, (1e9, 1e9))
    limited.trained(first, unasked)
    limited.trained(third, runner)
    limited.trained(first, unasked)
    limited.trained(third, unasked)
    limited.trained(second, runner)
    assert [job.client_id for job in runner.jobs] == [0, 1, 2, 1]


def test_a_store_that_cannot_be_written_says_so(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "draft"))

    worker = worker_of("head")
    monkeypatch.setattr("fl.execution.store.write_entry", full)
    with pytest.raises(StoreWriteError, match="No space left on device"):
        ResultStore(tmp_path).trained(job_of(worker), Runner(worker))
