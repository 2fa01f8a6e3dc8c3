"""Jobs of several clients as one: results of each alone, but for rounding."""

import gc
import itertools
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from fl.execution import cohort as cohort_module
from fl.execution.cohort import CohortExecutor
from fl.execution.executor import InProcessExecutor
from fl.execution.procedures import procedure_of
from fl.execution.run_job import run_job
from fl.execution.store import ResultStore
from fl.methods import METHODS
from fl.methods.low_rank import at_rank
from fl.models.passes import Passes
from fl.problems import ModelError
from fl.training.job import EvaluationJob
from fl.training.objective import TaskLoss
from fl.training.optimiser_settings import Sgd
from fl.training.rate_schedule import LinearRate
from fl.training.supervised import Supervised
from scenarios.load import load
from scenarios.prepare import recipe_of
from scenarios.variants import variants
from tests.fl.fakes import SMALLEST
from tests.fl.training.jobs import SETTINGS, job_of, worker_of
from tests.scenarios.test_earlier_runs import BASE

SUPERVISED = sorted(
    kind
    for kind in METHODS
    if isinstance(getattr(worker_of(kind).method, "objective", TaskLoss()), TaskLoss)
)
ONE_BY_ONE = {"fedamole": "its penalty is read off a pass of the texts of one client"}
"""Supervised methods whose clients cannot be trained together, and what is told."""
UNMOVED = (".key.bias", "k_proj.bias")
"""Tensors that change no score: their gradient is rounding alone, which AdamW makes steps of."""
TOLERANCE = 2e-3
"""Largest difference of what a tensor has moved by, relative to the largest move of any number."""


@pytest.fixture(autouse=True)
def _told_anew():
    cohort_module._tell.cache_clear()


def same_kind(worker, num_clients=3, **changes):
    """Jobs of different clients with equal shapes, shards of different sizes."""
    first = job_of(worker, 0, **changes)
    starts = [job_of(worker, client_id).start for client_id in range(num_clients)]
    shapes = [{name: each.shape for name, each in start.tensors.items()} for start in starts]
    return [
        replace(
            first,
            client_id=client_id,
            seed=11 + client_id,
            samples=np.arange(10 * client_id, 10 * client_id + 5 + 6 * client_id),
            start=starts[client_id] if shapes[client_id] == shapes[0] else first.start,
        )
        for client_id in range(num_clients)
    ]


def assert_equal(found, wanted, job, *, tolerance=TOLERANCE):
    """Compare results: numbers of what was trained moved alike, losses are equal."""
    assert list(found.tensors) == list(wanted.tensors)
    moved = 0
    for name, value in wanted.tensors.items():
        if name not in job.start.tensors:
            torch.testing.assert_close(found.tensors[name], value, rtol=2e-3, atol=1e-4)
            continue
        start = job.start.tensors[name]
        if name not in job.start.trainable:
            assert found.tensors[name] is start
            continue
        if name.endswith(UNMOVED):
            continue
        scale = float((value - start).abs().max())
        moved += scale > 0
        assert float((found.tensors[name] - value).abs().max()) <= tolerance * scale, name
    assert moved
    assert found.mean_loss == pytest.approx(wanted.mean_loss, rel=1e-4)
    assert found.rms_loss == pytest.approx(wanted.rms_loss, rel=1e-4)
    assert (found.num_samples, found.num_steps) == (wanted.num_samples, wanted.num_steps)


def parts_of(monkeypatch):
    """Note the clients of each cohort."""
    seen = []
    original = cohort_module.train_stacked

    def noted(jobs, *args, **kwargs):
        seen.append([job.client_id for job in jobs])
        return original(jobs, *args, **kwargs)

    monkeypatch.setattr(cohort_module, "train_stacked", noted)
    return seen


def test_most_methods_are_supervised():
    assert len(SUPERVISED) > 15
    assert set(ONE_BY_ONE) < set(SUPERVISED)


@pytest.mark.parametrize("kind", SUPERVISED)
def test_every_supervised_method_is_as_inline(kind, caplog):
    worker = worker_of(kind)
    jobs = same_kind(worker)
    wanted = [InProcessExecutor(worker).submit(job).result() for job in jobs]
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    with caplog.at_level(logging.WARNING):
        found = [handle.result() for handle in handles]
    assert (executor.num_submitted, executor.num_computed) == (3, 3)
    for job, one, other in zip(jobs, found, wanted, strict=True):
        assert_equal(one, other, job)
    told = [record.getMessage() for record in caplog.records]
    if kind in ONE_BY_ONE:
        assert len(told) == 1
        assert ONE_BY_ONE[kind] in told[0]
    else:
        assert told == []


REAL = (*BASE, "training={local_steps: 2, batch_size: 4}", "clients.num_clients=10")
WRITTEN = ("data.task=generation", "model={name: tiny-decoder, max_tokens: 24}")


@pytest.mark.parametrize(("model", "settings"), [("tiny-encoder", ()), ("tiny-decoder", WRITTEN)])
def test_every_supervised_method_on_a_real_model(model, settings):
    tried = []
    for kind in SUPERVISED:
        if kind in ONE_BY_ONE or kind == "full":  # as `fedit`, and slow
            continue
        task = "generation" if settings else "classification"
        if SMALLEST[kind].find_problems(num_clients=10, task=task):
            continue
        room = () if settings else ("model.max_tokens=40",)
        is_plain = SMALLEST[kind].needs_plain_descent
        steps = ("training.optimiser.kind=sgd",) if is_plain else ()
        own = f"methods=[{{kind: {kind}}}]"
        study = load("quickstart", [*REAL, *settings, *room, own, *steps])
        [variant] = variants(study)
        try:
            worker = recipe_of(variant.scenario, seed=1).build()
        except ModelError:  # biases, of a model that has none
            continue
        changes = {"local_steps": 2, "batch_size": 4, "learning_rate": 1e-3}
        changes |= {"optimiser": Sgd()} if is_plain else {}
        jobs = [
            replace(job, model_key=worker.model_key)
            for job in same_kind(worker, settings=replace(SETTINGS, **changes))
        ]
        executor = CohortExecutor(worker)
        handles = [executor.submit(job) for job in jobs]
        found = handles[0].result()
        assert executor.num_computed == 3, kind
        assert_equal(found, run_job(jobs[0], worker), jobs[0], tolerance=2e-2)
        tried.append(kind)
    assert len(tried) > 8, model


def test_jobs_of_different_lengths_leave_when_they_are_done():
    worker = worker_of("fedit")
    settings = replace(SETTINGS, local_steps=None, local_epochs=2, max_gradient_norm=0.1)
    jobs = same_kind(worker, settings=settings)
    found = CohortExecutor(worker)
    handles = [found.submit(job) for job in jobs]
    results = [handle.result() for handle in handles]
    assert [result.num_steps for result in results] == [2, 4, 6]
    for job, result in zip(jobs, results, strict=True):
        assert_equal(result, run_job(job, worker), job)


def test_jobs_of_other_shapes_are_trained_apart(monkeypatch):
    seen = parts_of(monkeypatch)
    worker = worker_of("hetlora")
    ranks = (8, 4, 8, 4)
    jobs = [
        replace(job, start=replace(job.start, tensors=at_rank(job.start.tensors, rank=rank)))
        for job, rank in zip(same_kind(worker, 4), ranks, strict=True)
    ]
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    handles[1].result()
    assert seen == [[1, 3]]
    for job, handle in zip(jobs, handles, strict=True):
        assert_equal(handle.result(), run_job(job, worker), job)
    assert seen == [[1, 3], [0, 2]]


def test_a_proximal_term_is_of_each_client():
    worker = worker_of("fedit")
    options = replace(worker.method.options, proximal_weight=5.0)
    worker = replace(worker, method=replace(worker.method, options=options))
    jobs = same_kind(worker)
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    for job, handle in zip(jobs, handles, strict=True):
        assert_equal(handle.result(), run_job(job, worker), job)


def test_a_cohort_holds_at_most_so_many_and_parts_are_even(monkeypatch):
    seen = parts_of(monkeypatch)
    worker = worker_of("head")
    executor = CohortExecutor(worker, max_jobs=4)
    base = job_of(worker)
    handles = [executor.submit(replace(base, client_id=each, seed=each)) for each in range(10)]
    handles[5].result()
    assert seen == [[4, 5, 6]]
    for handle in handles:
        handle.result()
    assert sorted(itertools.chain(*seen)) == list(range(10))
    assert all(2 <= len(part) <= 4 for part in seen)
    assert executor.num_computed == 10


def test_what_nobody_wants_is_not_trained(monkeypatch):
    seen = parts_of(monkeypatch)
    worker = worker_of("head")
    executor = CohortExecutor(worker)
    base = job_of(worker)
    handles = [executor.submit(replace(base, client_id=each, seed=each)) for each in range(5)]
    handles[1].drop()
    handles[1].drop()
    del handles[3]
    gc.collect()
    assert handles[0].result() is handles[0].result()
    assert seen == [[0, 2, 4]]
    with pytest.raises(RuntimeError, match="job of client 1 in round 1 was dropped"):
        handles[1].result()
    handles[0].drop()
    with pytest.raises(RuntimeError, match="was dropped"):
        handles[0].result()


def test_divergence_names_its_client_and_spares_the_others():
    worker = worker_of("head")
    jobs = same_kind(worker)
    wild = {name: each * float("inf") for name, each in jobs[1].start.tensors.items()}
    jobs[1] = replace(jobs[1], start=replace(jobs[1].start, tensors=wild), round=7)
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    assert_equal(handles[0].result(), run_job(jobs[0], worker), jobs[0])
    with pytest.raises(FloatingPointError, match="at step 0 of client 1 in round 7"):
        handles[1].result()
    assert executor.num_computed == 3


def raising(error):
    def fail():
        raise error

    return fail


SHORT = {
    "python": raising(MemoryError()),
    "gpu": raising(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")),
    "cublas": raising(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublas")),
    "cuda": raising(RuntimeError("CUDA error: out of memory")),
    "mps": raising(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")),
    "cpu": lambda: torch.empty(2**60, dtype=torch.uint8),
    "windows": raising(RuntimeError("DefaultCPUAllocator: not enough memory: you tried to")),
}
"""What fails where memory is short; ``cpu`` is the allocator of torch itself."""


@pytest.mark.parametrize("place", SHORT)
def test_short_memory_halves_the_cohort(place, monkeypatch, caplog):
    sizes = []
    original = cohort_module.train_stacked

    def short(jobs, *args, **kwargs):
        sizes.append(len(jobs))
        if len(jobs) > 2:
            SHORT[place]()
        return original(jobs, *args, **kwargs)

    monkeypatch.setattr(cohort_module, "train_stacked", short)
    worker = worker_of("head")
    executor = CohortExecutor(worker)
    base = job_of(worker)
    handles = [executor.submit(replace(base, client_id=each, seed=each)) for each in range(8)]
    for handle in handles:
        handle.result()
    assert sizes == [8, 4, 2, 2, 2, 2]
    assert caplog.records == []


def test_short_memory_in_the_middle_of_a_pass_leaves_nothing_behind(monkeypatch):
    """The first large pass fails in a layer; what is halved trains as ever."""
    worker = worker_of("fedit")
    layer = worker.module.encoder.encoder.layer[1].output
    run, sizes = layer.forward, []

    def short(hidden, *args, **kwargs):
        if len(hidden) > SETTINGS.batch_size:
            sizes.append(len(hidden))
            if len(sizes) == 1:
                SHORT["cpu"]()
        return run(hidden, *args, **kwargs)

    monkeypatch.setattr(layer, "forward", short)
    jobs = same_kind(worker, 4)
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    found = [handle.result() for handle in handles]
    assert executor.num_computed == 4
    assert len(sizes) > 1
    assert not any(each.grad is not None for each in worker.parameters.values())
    for job, one in zip(jobs, found, strict=True):
        assert_equal(one, run_job(job, worker), job)


@pytest.mark.parametrize("told", ["shape mismatch", "CUDA error: an illegal memory access"])
def test_other_errors_are_not_short_memory(told):
    assert not cohort_module.is_out_of_memory(RuntimeError(told))
    assert not cohort_module.is_out_of_memory(ValueError("out of memory"))


HALF_ALIKE = ("fedit", "fedtt", "full", "head", "pftt", "prompt_tuning")


@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
@pytest.mark.parametrize("kind", HALF_ALIKE)
def test_a_cohort_in_half_precision_is_that_of_clients_alone(kind, autocast, caplog):
    worker = replace(worker_of(kind), passes=Passes(autocast=autocast))
    settings = replace(SETTINGS, learning_rate=1e-4)
    jobs = same_kind(worker, settings=settings)
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    for job, handle in zip(jobs, handles, strict=True):
        alone = run_job(job, worker)
        assert handle.result().mean_loss == pytest.approx(alone.mean_loss, rel=1e-3)
        assert {each.dtype for each in handle.result().tensors.values()} == {torch.float32}
    assert (executor.num_computed, caplog.records) == (3, [])


@pytest.mark.parametrize("kind", ["fedit", "pftt", "full"])
def test_a_cohort_with_checkpointing_is_that_of_clients_alone(kind, caplog):
    worker = replace(worker_of(kind), passes=Passes(checkpointing=True))
    jobs = same_kind(worker)
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    for job, handle in zip(jobs, handles, strict=True):
        assert_equal(handle.result(), run_job(job, worker), job)
    assert (executor.num_computed, caplog.records) == (3, [])


def test_memory_limits_the_cohort(monkeypatch):
    monkeypatch.setattr(cohort_module, "ROOM", 1e-9)
    seen = parts_of(monkeypatch)
    worker = worker_of("head")
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in same_kind(worker)]
    assert_equal(handles[0].result(), run_job(same_kind(worker)[0], worker), same_kind(worker)[0])
    assert seen == []


class Mixing(nn.Module):
    """A layer that mixes texts: what is not text by text."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def forward(self, hidden):
        return self.base(hidden) + self.base(hidden[:1, :1])


def test_a_model_that_mixes_texts_is_found_out_and_trained_one_by_one(caplog):
    worker = worker_of("fedit")
    layer = worker.module.encoder.encoder.layer[0].output
    layer.dense = Mixing(layer.dense)
    jobs = same_kind(worker)
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    for job, handle in zip(jobs, handles, strict=True):
        wanted = run_job(job, worker)
        assert torch.equal(handle.result().tensors["head.weight"], wanted.tensors["head.weight"])
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("fedit: clients are trained one by one: together, ")
    assert "is not that of a client alone" in told


def test_other_procedures_run_one_by_one_to_the_bit(caplog):
    worker = worker_of("feddpo")
    assert not isinstance(procedure_of(SETTINGS, worker), Supervised)
    jobs = [job_of(worker, client_id) for client_id in range(2)]
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    for job, handle in zip(jobs, handles, strict=True):
        for name, value in run_job(job, worker).tensors.items():
            assert torch.equal(handle.result().tensors[name], value)
    [told] = [record.getMessage() for record in caplog.records]
    assert told.endswith("it does not only train on the loss of the task")


def test_a_store_keeps_results_of_cohorts_apart(tmp_path):
    worker = worker_of("fedit")
    jobs = same_kind(worker)
    store = ResultStore(tmp_path)

    def results(executor, jobs=jobs):
        handles = [executor.submit(job) for job in jobs]
        return [handle.result().tensors["head.weight"] for handle in handles], executor.num_computed

    first, num_first = results(CohortExecutor(worker, store=store))
    again, num_again = results(CohortExecutor(worker, store=store))
    assert (num_first, num_again) == (3, 0)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    # neither an inline run nor another cohort is served with them
    assert results(InProcessExecutor(worker, store=store))[1] == 3
    assert results(CohortExecutor(worker, store=store), jobs[:2])[1] == 2
    # a job by itself is an inline one
    assert results(CohortExecutor(worker, store=store), jobs[:1])[1] == 0


def test_evaluations_run_here_and_a_closed_executor_runs_nothing():
    worker = worker_of("head")
    executor = CohortExecutor(worker)
    evaluation = EvaluationJob(
        model_key="key",
        tensors=worker.method.initial,
        table="test",
        samples=np.arange(4),
        batch_size=2,
    )
    assert {len(each) for each in executor.submit(evaluation).result().scores.values()} == {4}
    waiting = executor.submit(job_of(worker))
    executor.close()
    executor.close()
    with pytest.raises(RuntimeError, match="is closed, cannot take or run the training job of"):
        executor.submit(job_of(worker))
    with pytest.raises(RuntimeError, match="is closed"):
        waiting.result()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is at hand: torch sees none")
def test_a_cohort_trains_where_the_model_is():
    worker = worker_of("fedit")
    jobs = same_kind(worker)
    wanted = [run_job(job, worker) for job in jobs]
    worker.module.to("cuda")
    worker = replace(worker, train=replace(worker.train, device=worker.device))
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    for job, handle, other in zip(jobs, handles, wanted, strict=True):
        assert_equal(handle.result(), other, job, tolerance=2e-2)


def test_momentum_and_undecayed_vectors_are_of_each_client(caplog):
    worker = worker_of("fedit")
    settings = replace(
        SETTINGS,
        optimiser=Sgd(momentum=0.9, nesterov=True),
        weight_decay=0.5,
        decays_norms_and_biases=False,
    )
    jobs = same_kind(worker, settings=settings)
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    with caplog.at_level(logging.WARNING):
        found = [handle.result() for handle in handles]
    assert not caplog.records
    for job, each in zip(jobs, found, strict=True):
        assert_equal(each, run_job(job, worker), job)


@pytest.mark.parametrize(
    "changes", [{"step_schedule": LinearRate()}, {"warmup_steps": 1}, {"micro_batch_size": 2}]
)
def test_what_goes_by_each_job_s_steps_runs_one_by_one_to_the_bit(changes, caplog):
    worker = worker_of("fedit")
    jobs = same_kind(worker, settings=replace(SETTINGS, **changes))
    executor = CohortExecutor(worker)
    handles = [executor.submit(job) for job in jobs]
    with caplog.at_level(logging.WARNING):
        found = [handle.result() for handle in handles]
    (record,) = caplog.records
    assert next(iter(changes)) in record.getMessage()
    for job, each in zip(jobs, found, strict=True):
        for name, value in run_job(job, worker).tensors.items():
            assert torch.equal(each.tensors[name], value)
