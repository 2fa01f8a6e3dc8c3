"""Passes in half precision, with less kept for backward, compiled: what stays the same."""

import functools
import shutil

import numpy as np
import pytest
import torch

from fl.models.frozen_weights import store_half
from fl.models.passes import (
    AS_THEY_ARE,
    DTYPES,
    Passes,
    blocks_of,
    replaced_forward,
    whole_of,
)
from fl.training.cost import CostModel
from tests.fl.fakes import answers, classifier, examples, install, language_model

HALF = Passes(autocast="bf16")
LEAN = Passes(checkpointing=True)


def batch_for(module):
    texts = examples(8) if hasattr(module, "pooling") else answers(8)
    return texts.batch(np.arange(8))


def trained_pass(module, passes, batch):
    """Loss, gradients, and the bytes that backward kept besides weights."""
    weights = {each.untyped_storage().data_ptr() for each in module.parameters()}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage  # held, so that no two have one address
        return tensor

    module.zero_grad()
    with passes.applied(module):
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = module.loss(batch)
        loss.backward()
    gradients = {
        name: each.grad.clone() for name, each in module.named_parameters() if each.grad is not None
    }
    return loss.detach(), gradients, sum(each.nbytes() for each in kept.values())


MODULES = {
    "classifier": classifier,
    "llama": language_model,
    "gpt2": functools.partial(language_model, "gpt2"),
}


@pytest.mark.parametrize("kind", MODULES)
def test_checkpointing_gives_the_same_and_keeps_less(kind):
    module = MODULES[kind](layers=4)
    batch = batch_for(module)
    loss, gradients, whole_bytes = trained_pass(module, AS_THEY_ARE, batch)
    again, others, lean_bytes = trained_pass(module, LEAN, batch)
    assert torch.equal(again, loss)
    assert others.keys() == gradients.keys()
    assert all(torch.equal(others[name], each) for name, each in gradients.items())
    assert lean_bytes < 0.5 * whole_bytes


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_half_precision_is_near_and_comes_back_single(kind, autocast):
    module = MODULES[kind]()
    batch = batch_for(module)
    loss, gradients, _ = trained_pass(module, AS_THEY_ARE, batch)
    half, others, _ = trained_pass(module, Passes(autocast=autocast), batch)
    assert half.dtype == torch.float32
    assert half != loss
    assert float(half) == pytest.approx(float(loss), rel=1e-2)
    for name, each in gradients.items():
        assert others[name].dtype == torch.float32, name
        # biases of keys change no score: their gradient is rounding alone
        if not name.endswith(("key.bias", "k_proj.bias", "c_attn.bias")):
            assert float((others[name] - each).norm()) < 0.2 * float(each.norm()), name


def test_checkpointed_passes_are_worked_out_again_in_half_precision():
    module = classifier()
    batch = batch_for(module)
    both = Passes(autocast="bf16", checkpointing=True)
    loss, gradients, _ = trained_pass(module, HALF, batch)
    again, others, _ = trained_pass(module, both, batch)
    assert torch.equal(loss, again)
    assert all(torch.equal(others[name], each) for name, each in gradients.items())


def test_nothing_stays_in_the_model():
    module = classifier()
    batch = batch_for(module)
    wanted = module.loss(batch)

    def fail_within():
        with Passes(autocast="bf16", checkpointing=True).applied(module):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_within()
    assert not any("forward" in vars(part) for part in [whole_of(module), *blocks_of(module)])
    assert torch.equal(module.loss(batch), wanted)


def test_a_forward_pass_that_was_replaced_before_comes_back():
    module = torch.nn.Linear(1, 1)
    with replaced_forward(module, lambda *_: "outer"):
        with replaced_forward(module, lambda *_: "inner"):
            assert module(1) == "inner"
        assert module(1) == "outer"
    assert "forward" not in vars(module)


@pytest.mark.parametrize("kind", ["fedit", "pftt", "pfit"])
@pytest.mark.parametrize("autocast", ["bf16", "fp16"])
def test_frozen_weights_in_half_precision_change_no_bit(kind, autocast):
    _, module = install(kind)
    method, stored = install(kind)
    passes, batch = Passes(autocast=autocast), batch_for(module)
    installed = frozenset(method.initial)
    for each in (module, stored):
        for name, parameter in each.named_parameters():
            parameter.requires_grad = name in installed
    single_bytes = sum(each.nbytes for each in stored.parameters())
    saved = store_half(stored, DTYPES[autocast], installed=installed)
    assert saved > 0.1 * single_bytes
    assert sum(each.nbytes for each in stored.parameters()) == single_bytes - saved
    loss, gradients, _ = trained_pass(module, passes, batch)
    again, others, _ = trained_pass(stored, passes, batch)
    assert torch.equal(loss, again)
    assert gradients.keys() == others.keys()
    assert all(torch.equal(others[name], each) for name, each in gradients.items())


def test_weights_that_are_an_embedding_too_stay_single():
    module = language_model("gpt2")
    store_half(module, torch.bfloat16, installed=frozenset())
    assert module.lm_head.weight is module.causal.transformer.wte.weight
    assert module.lm_head.weight.dtype == torch.float32
    assert module.causal.transformer.h[0].mlp.c_fc.weight.dtype == torch.bfloat16


def test_what_a_step_costs_is_counted_without_these_settings():
    """On the very module: nothing of them is left in it between passes."""
    method, module = install("fedit")
    trainable = tuple(sorted(method.initial))

    def counted():
        return CostModel(module, max_tokens=12).count(trainable, batch_size=4, num_tokens=9)

    before = counted()
    with Passes(autocast="bf16", checkpointing=True).applied(module):
        module.loss(batch_for(module)).backward()
    assert counted() == before


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler: no g++ here")
def test_compiled_blocks_give_the_same_but_for_rounding():
    module = classifier()
    batch = batch_for(module)
    loss, gradients, _ = trained_pass(module, AS_THEY_ARE, batch)
    again, others, _ = trained_pass(module, Passes(compiled=True), batch)
    assert float(again) == pytest.approx(float(loss), rel=1e-5)
    for name, each in gradients.items():
        torch.testing.assert_close(others[name], each, rtol=1e-3, atol=1e-5)
