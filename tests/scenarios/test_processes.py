"""Jobs on worker processes: the same rows for every method, and what goes wrong is one line."""

import os
import pickle
import signal

import pytest
import torch

from fl.execution.executor import InProcessExecutor
from fl.execution.pool_client import WorkerDiedError
from fl.execution.processes import ProcessExecutor
from fl.execution.worker_pool import WorkerPool
from fl.methods import METHODS
from fl.training.job import JobSettings, Start, TrainJob
from scenarios import run
from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.prepare import recipe_of
from scenarios.variants import variants
from tests.scenarios.conftest import options
from tests.scenarios.test_earlier_runs import BASE, rows

TRAINED = (*BASE, "seeds=[1]", "training={local_steps: 1, batch_size: 4}", "server.num_rounds=1")
WRITTEN = (
    "data.task=generation",
    "data.rejected=other_summary",
    "model={name: tiny-decoder, max_tokens: 24}",
    "rewards={helpfulness: {kind: rule, rule: no_repetition}, "
    "safety: {kind: rule, rule: no_private_names}}",
)
SHORT = "{num_steps: 1, prompts_per_step: 1, num_completions: 2, max_new_tokens: 3}"
OF_WRITING = {
    "pfit": f"{{kind: pfit, num_blocks: 1, policy: {SHORT}}}",
    "pwff": "{kind: pwff}",
    "feddpo": "{kind: feddpo}",
}
"""Methods that only learn to write."""
SHORTER = {"fedkseed": "{kind: fedkseed, num_steps: 2, num_seeds: 16}"}
"""Methods whose jobs are long unless told otherwise."""
PRIVATE = (
    "server.privacy={clip_norm: 0.5, noise_multiplier: 1.0}",
    "server.secure_aggregation={bits: 32}",
)
PRIVATE_TEXTS = "training.privacy={clip_norm: 0.5, noise_multiplier: 1.0}"
CODED = (
    "server.uplink_codecs=[{kind: top_k}, {kind: int8}]",
    "server.downlink_codecs=[{kind: int4}]",
)


@pytest.fixture(scope="module")
def pool():
    pool = WorkerPool(2)
    yield pool.here
    pool.close()


def made(kind="fedit", *changes):
    """The recipe of a run, its worker, and a job of a client."""
    [variant] = variants(load("quickstart", [*TRAINED, f"methods=[{{kind: {kind}}}]", *changes]))
    recipe = recipe_of(variant.scenario, seed=1)
    worker = recipe.build()
    settings = JobSettings.of(variant.scenario.training, learning_rate=None)

    def job(client_id):
        names = tuple(sorted(worker.method.initial))
        return TrainJob(
            model_key=worker.model_key,
            client_id=client_id,
            round=1,
            version=0,
            start=Start(tensors=worker.method.initial, trainable=names),
            samples=worker.train.labels.argsort()[:8],
            settings=settings,
            seed=client_id,
        )

    return recipe, worker, job


def test_every_method_has_the_same_rows(tmp_path):
    kinds = [kind for kind in METHODS if kind not in OF_WRITING]
    studies = {
        "classes": (
            *TRAINED,
            "model.max_tokens=40",  # room for virtual tokens
            "training.optimiser={kind: sgd}",  # scaffold needs it
            f"methods=[{', '.join(SHORTER.get(kind, f'{{kind: {kind}}}') for kind in kinds)}]",
        ),
        "answers": (*TRAINED, *WRITTEN, f"methods=[{', '.join(OF_WRITING.values())}]"),
        "private": (*TRAINED, *PRIVATE, "methods=[{kind: fedit}]"),
        "private texts": (*TRAINED, PRIVATE_TEXTS, "methods=[{kind: fedit}]"),
        "coded": (*TRAINED, "server.num_rounds=2", *CODED, "methods=[{kind: fedit}]"),
    }
    for name, settings in studies.items():
        study = load("quickstart", list(settings))
        here = run(study, out=tmp_path / name / "inline")
        apart = run(study, out=tmp_path / name / "process", executor="process", workers=2)
        assert apart.failures == ()
        assert rows(apart.folder) == rows(here.folder)
        has_promise = bool(list(here.folder.rglob("privacy.csv")))
        assert has_promise == name.startswith("private")
        assert len({path.parts[0] for path in rows(here.folder)}) == len(study.methods)


def test_runs_at_a_time_share_a_pool_and_have_the_same_rows(tmp_path):
    study = load("quickstart", [*TRAINED, "seeds=[1, 2, 3]", "methods=[{kind: fedit}]"])
    here = run(study, out=tmp_path / "inline")
    apart = run(study, out=tmp_path / "process", jobs=2, executor="process", workers=2)
    assert (apart.failures, apart.num_done) == ((), 3)
    assert rows(apart.folder) == rows(here.folder)
    assert len(rows(here.folder)) > 3


def test_results_are_those_of_this_process_and_of_the_store(pool, tmp_path):
    recipe, worker, job = made()
    here = InProcessExecutor(worker)
    apart = ProcessExecutor(pool, recipe, store=tmp_path)
    jobs = [job(client_id) for client_id in range(4)]
    handles = [apart.submit(each, flop=client_id) for client_id, each in enumerate(jobs)]
    for each, handle in zip(jobs, handles, strict=True):
        found, wanted = handle.result(), here.submit(each).result()
        assert found is handle.result()
        assert list(found.tensors) == list(wanted.tensors)
        for name, value in wanted.tensors.items():
            assert torch.equal(found.tensors[name], value)
            is_untrained = value is each.start.tensors[name]
            assert (found.tensors[name] is each.start.tensors[name]) == is_untrained
        assert (found.mean_loss, found.num_steps) == (wanted.mean_loss, wanted.num_steps)
    assert (apart.num_submitted, apart.num_computed) == (4, 4)
    again = ProcessExecutor(pool, recipe, store=tmp_path)
    assert again.submit(jobs[0]).result().mean_loss == handles[0].result().mean_loss
    assert again.num_computed == 0
    assert again.host_training_s > 0


class Queue:
    """A pool that notes what is submitted and dropped, and answers nothing."""

    def __init__(self):
        self.given, self.dropped = [], []

    def submit(self, order, *, recipe, flop):
        self.given.append((pickle.loads(order).job.client_id, flop))
        return len(self.given) - 1

    def drop(self, number):
        self.dropped.append(number)


def test_a_closed_executor_neither_takes_nor_starts():
    recipe, _, job = made()
    queue = Queue()
    executor = ProcessExecutor(queue, recipe)
    first, second, waiting = (executor.submit(job(n), flop=10 + n) for n in range(3))
    first.drop()
    first.drop()
    assert queue.dropped == [0]
    executor.close()
    executor.close()
    assert (queue.given, queue.dropped) == ([(0, 10), (1, 11), (2, 12)], [0, 1, 2])
    for handle, client_id in ((first, 0), (second, 1), (waiting, 2)):
        told = f"job of client {client_id} in round 1 was dropped, it has no result"
        with pytest.raises(RuntimeError, match=told):
            handle.result()
    with pytest.raises(RuntimeError, match="is closed, cannot take or run the training job of"):
        executor.submit(job(2))


def test_what_a_job_raises_is_raised_here(pool):
    recipe, _, job = made("fedit", "training={local_steps: 30, batch_size: 8, learning_rate: 1e20}")
    handle = ProcessExecutor(pool, recipe).submit(job(0))
    for _ in range(2):
        with pytest.raises(FloatingPointError, match="client 0") as raised:
            handle.result()
    assert "in a worker process:" in raised.value.__notes__[0]


def test_a_process_that_dies_is_one_line():
    recipe, _, job = made()
    pool = WorkerPool(1)
    executor = ProcessExecutor(pool.here, recipe)
    executor.submit(job(0)).result()
    process = pool._processes[0].process
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match="a worker process died while the training job of"):
        executor.submit(job(1)).result()
    pool.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--workers", "2"), "workers: has no effect with executor inline, got 2"),
        (("--cohort", "2"), "cohort: has no effect with executor inline, got 2"),
        (("--ray-gpus", "1"), "ray_gpus: has no effect with executor inline, got 1.0"),
        (("--ray-address", "auto"), "ray_address: has no effect with executor inline, got auto"),
        (
            ("--executor", "cohort", "--workers", "2"),
            "workers: has no effect with executor cohort, got 2",
        ),
        (
            ("--executor", "process", "--jobs", "3", "--workers", "2"),
            "jobs: must be <= workers = 2 with executor process, got 3",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_one_line(words, told, tmp_path, capsys):
    command = ["run", "quickstart", *options(TRAINED), "--out", str(tmp_path), *words]
    assert main(command) == 2
    assert capsys.readouterr().err == f"airtune: {told}\n"


@pytest.mark.parametrize(
    ("executor", "key", "value"),
    [
        ("process", "executor", "threads"),
        ("process", "jobs", 0),
        ("ray", "ray_gpus", -0.5),
        ("process", "workers", 0),
        ("process", "workers", True),
        ("cohort", "cohort", 0),
        ("cohort", "cohort", True),
    ],
)
def test_settings_from_python_are_checked(executor, key, value, tmp_path):
    settings = {"executor": executor, key: value}
    with pytest.raises(ScenarioError, match=f"{key}: must be"):
        run(load("quickstart", list(TRAINED)), out=tmp_path, **settings)
