"""Every method under autocast and with checkpointing: jobs run, results come back as ever."""

import pickle
from dataclasses import replace

import pytest
import torch

from fl.execution.host import Host, HostError
from fl.execution.recipe import build_worker
from fl.execution.run_job import run_job
from fl.methods import METHODS
from fl.models.passes import Passes
from fl.training.config import TrainingConfig
from tests.fl.fakes import (
    SMALLEST,
    answers,
    backbone,
    examples,
    module_for,
    rewards,
    streams,
    task_of,
)
from tests.fl.training.jobs import SETTINGS, job_of, worker_of

SHORT = replace(SETTINGS, local_steps=2)


def near(found, wanted):
    return abs(found - wanted) <= 2e-3 * max(1.0, abs(wanted))


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_every_method_trains_in_half_precision(kind, autocast):
    worker = worker_of(kind)
    job = job_of(worker, settings=SHORT)
    single = run_job(job, worker)
    half = run_job(job, replace(worker, passes=Passes(autocast=autocast)))
    assert near(half.mean_loss, single.mean_loss)
    assert half.num_steps == single.num_steps
    for name, value in single.tensors.items():
        found = half.tensors[name]
        # what is sent is in the types and shapes of before: bytes do not change
        assert (found.dtype, found.shape) == (value.dtype, value.shape), name
        assert found.device.type == "cpu"
        assert found.isfinite().all(), name
    trained = job.start.trainable
    assert any(not torch.equal(half.tensors[name], single.tensors[name]) for name in trained)


def made(kind, *, host=None, runs_jobs=True, **training):
    texts = examples if task_of(SMALLEST[kind]) == "classification" else answers
    return build_worker(
        SMALLEST[kind],
        backbone=backbone(module_for(kind)),
        train=texts(60),
        test=texts(10),
        training=TrainingConfig(local_steps=2, **training),
        streams=streams(),
        num_clients=3,
        rewards=rewards() if SMALLEST[kind].uses_rewards else None,
        host=Host() if host is None else host,
        runs_jobs=runs_jobs,
    )


@pytest.mark.parametrize("kind", METHODS)
def test_every_method_is_the_same_with_checkpointing_or_is_refused(kind):
    lean = Host(checkpointing=True)
    if not SMALLEST[kind].can_recompute:
        assert kind in {"fedamole", "prefix_tuning"}
        with pytest.raises(HostError, match=f"^checkpointing: does not go with {kind}: "):
            made(kind, host=lean)
        return
    worker = made(kind)
    wanted = run_job(job_of(worker, settings=SHORT, model_key=worker.model_key), worker)
    other = made(kind, host=lean)
    found = run_job(job_of(other, settings=SHORT, model_key=other.model_key), other)
    assert all(torch.equal(found.tensors[name], each) for name, each in wanted.tensors.items())
    assert found.mean_loss == wanted.mean_loss


@pytest.mark.parametrize(
    ("host", "training"),
    [
        (None, {"autocast": "bf16"}),
        (None, {"autocast": "fp16"}),
        (Host(checkpointing=True), {}),
        (Host(compiled=True), {}),
    ],
)
def test_the_key_says_how_jobs_are_computed(host, training):
    plain, other = made("fedit"), made("fedit", host=host, **training)
    assert other.model_key != plain.model_key
    planning = made("fedit", host=host, runs_jobs=False, **training)
    assert planning.model_key == other.model_key


def test_the_key_says_the_kind_of_the_device():
    """Planning workers stand for those of any device, so the key needs none here."""
    keys = {
        made("fedit", host=Host(device=name), runs_jobs=False).model_key
        for name in ("cpu", "cuda", "cuda:1", "mps")
    }
    assert len(keys) == 3


def test_a_worker_that_plans_stays_in_single_precision():
    planning = made("fedit", runs_jobs=False, autocast="bf16")
    running = made("fedit", autocast="bf16")
    assert {each.dtype for each in planning.module.parameters()} == {torch.float32}
    assert {each.dtype for each in running.module.parameters()} == {torch.float32, torch.bfloat16}
    assert (planning.passes, running.passes) == (Passes(), Passes(autocast="bf16"))
    assert {each.dtype for each in running.method.initial.values()} == {torch.float32}


def test_a_host_can_be_sent_to_another_process():
    host = Host(device="cuda:1", checkpointing=True)
    assert pickle.loads(pickle.dumps(host)) == host


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is at hand: torch sees none")
@pytest.mark.parametrize("kind", ["fedit", "fedtt", "fedamole", "full", "head", "fdlora"])
@pytest.mark.parametrize("autocast", [None, "bf16", "fp16"])
def test_a_gpu_gives_what_the_cpu_gives_but_for_rounding(kind, autocast):
    worker = made(kind)
    wanted = run_job(job_of(worker, settings=SHORT, model_key=worker.model_key), worker)
    away = made(kind, host=Host(device="cuda"), autocast=autocast)
    found = run_job(job_of(away, settings=SHORT, model_key=away.model_key), away)
    assert near(found.mean_loss, wanted.mean_loss)
    assert {each.device.type for each in found.tensors.values()} == {"cpu"}
    again = run_job(job_of(away, settings=SHORT, model_key=away.model_key), away)
    assert all(torch.equal(again.tensors[name], each) for name, each in found.tensors.items())
