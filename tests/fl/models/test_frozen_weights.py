"""Which layers may be kept in another form, and in fewer bits: what stays as it is."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from fl.execution.run_job import run_job
from fl.models.frozen_weights import frozen_layers, store_half
from fl.models.quantized import (
    QuantizationError,
    check_frozen,
    check_quantization,
    quantize_frozen,
)
from fl.training.evaluate import run_evaluation
from fl.training.job import EvaluationJob
from tests.fl.fakes import classifier, install, language_model
from tests.fl.training.jobs import job_of, worker_of

CPU = torch.device("cpu")


def names_of(module, installed=frozenset()):
    found = {id(place.layer) for place in frozen_layers(module, installed=installed)}
    return {name for name, each in module.named_modules() if id(each) in found}


def test_all_linear_layers_of_a_frozen_model():
    module = classifier()
    linear = {name for name, each in module.named_modules() if type(each) is nn.Linear}
    assert names_of(module) == linear


def test_layers_of_the_method_are_left_out():
    method, module = install("pfit")  # trains the last block
    found = names_of(module, frozenset(method.initial))
    assert any(".layers.0." in name for name in found)
    assert not any(".layers.1." in name for name in found)


def test_a_weight_that_is_an_embedding_too_is_left_out():
    module = language_model("gpt2")
    found = names_of(module)
    assert "lm_head" not in found
    assert any(name.endswith("mlp.c_fc") for name in found)


@pytest.mark.parametrize("kind", ["flora", "fedex_lora"])
def test_weights_that_a_method_adds_to_are_left_out(kind):
    method, module = install(kind)
    found = names_of(module, frozenset(method.initial))
    assert found
    assert not any("attention.self" in name and name.endswith("base_layer") for name in found)


def test_half_precision_saves_half():
    module = classifier()
    linear_bytes = sum(
        parameter.nbytes
        for each in module.modules()
        if type(each) is nn.Linear
        for parameter in each.parameters()
    )
    assert store_half(module, torch.bfloat16, installed=frozenset()) == linear_bytes / 2


def test_without_the_package_it_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(QuantizationError) as raised:
        check_quantization("cpu")
    told = str(raised.value)
    assert told.startswith("training.frozen_weights: the package bitsandbytes is needed (")
    assert told.endswith("): pip install 'airtune[quantized]'")
    assert "\n" not in told


@pytest.mark.parametrize("kind", ["full", "bitfit"])
def test_a_method_that_leaves_nothing_frozen_is_refused(kind):
    method, module = install(kind)
    with pytest.raises(QuantizationError, match="no linear layer stays frozen"):
        check_frozen(module, installed=frozenset(method.initial))


def quantized(kind, weights):
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: airtune[quantized]")
    worker = worker_of(kind)
    installed = frozenset(worker.method.initial)
    saved = quantize_frozen(
        worker.module, weights, installed=installed, device=CPU, dtype=torch.float32
    )
    return worker, saved


SAVED = {"int8": 3 / 4, "nf4": 7 / 8}
"""Part of the bytes of the weights."""


@pytest.mark.parametrize("weights", SAVED)
@pytest.mark.parametrize("kind", ["fedit", "pftt", "fedtt", "fedamole", "flora", "head", "pfit"])
def test_jobs_run_on_quantised_weights(kind, weights):
    plain = worker_of(kind)
    wanted = run_job(job_of(plain), plain)
    worker, saved = quantized(kind, weights)
    before = sum(
        place.layer.weight.nbytes
        for place in frozen_layers(plain.module, installed=frozenset(plain.method.initial))
        if place.layer is not getattr(plain.module, "lm_head", None)
    )
    assert saved == SAVED[weights] * before
    job = job_of(worker)
    found = run_job(job, worker)
    assert found.mean_loss == pytest.approx(wanted.mean_loss, rel=5e-3)
    assert any(not torch.equal(found.tensors[n], wanted.tensors[n]) for n in job.start.trainable)
    for name, value in wanted.tensors.items():
        assert found.tensors[name].dtype == value.dtype
    again = run_job(job, worker)
    assert all(torch.equal(again.tensors[name], each) for name, each in found.tensors.items())


@pytest.mark.parametrize("weights", SAVED)
def test_scores_are_near(weights):
    plain = worker_of("fedit")
    worker, _ = quantized("fedit", weights)
    job = EvaluationJob(
        model_key="key",
        tensors=plain.method.initial,
        table="test",
        samples=np.arange(10),
        batch_size=4,
    )
    wanted = run_evaluation(job, plain).scores["nats"]
    found = run_evaluation(job, worker).scores["nats"]
    assert found == pytest.approx(wanted, rel=2e-2)
    assert not np.array_equal(found, wanted)
