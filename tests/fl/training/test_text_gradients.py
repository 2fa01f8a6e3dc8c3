"""Gradients of single texts, together and one by one, for every method that has them."""

import numpy as np
import pytest
import torch

from fl.training.text_gradients import PerText, TextGradients
from tests.fl.fakes import SMALLEST
from tests.fl.training.jobs import job_of, worker_of

KINDS = sorted(kind for kind, config in SMALLEST.items() if config.has_text_gradients)
TEXTS = np.arange(6)


def per_text(kind):
    worker = worker_of(kind)
    start = job_of(worker).start
    generator = torch.Generator().manual_seed(1)
    moved = {
        name: value + 0.05 * torch.randn(value.shape, generator=generator)
        if value.is_floating_point()
        else value
        for name, value in start.tensors.items()
    }  # zeros, as LoRA's B, would hide gradients of others
    parameters = worker.load(moved, trainable=start.trainable)
    return PerText(worker, dict(zip(start.trainable, parameters, strict=True)))


def test_methods_whose_jobs_read_texts_otherwise_have_none():
    others = {"fdlora", "fedamole", "feddpo", "fedkseed", "pfit", "splitlora"}
    assert others & set(SMALLEST) == others
    assert not others & set(KINDS)
    assert {"fedit", "fedtt", "fedadapter", "prefix_tuning", "full", "scaffold"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_text_has_the_gradient_of_a_pass_of_it_alone(kind):
    gradients = per_text(kind)
    found, alone = gradients.of(TEXTS), gradients.one_by_one(TEXTS)
    torch.testing.assert_close(found.losses, alone.losses, rtol=1e-4, atol=1e-5)
    whole = float(alone.norms().max())
    for name, each in alone.gradients.items():
        assert each.shape[0] == len(TEXTS)
        torch.testing.assert_close(found.gradients[name], each, rtol=1e-3, atol=1e-5 * whole)
    assert float(alone.norms().min()) > 0
    assert gradients._together


def test_the_sum_of_all_is_the_gradient_of_the_sum_of_losses():
    gradients = per_text("fedit")
    worker = gradients.worker
    mean, _ = worker.module.losses(worker.batch("train", TEXTS))
    wanted = torch.autograd.grad(len(TEXTS) * mean, list(gradients.named.values()))
    found = gradients.of(TEXTS).clipped_sum(1e9)
    for name, each in zip(gradients.named, wanted, strict=True):
        torch.testing.assert_close(found[name], each, rtol=1e-3, atol=1e-5)


def test_clipping_shortens_over_all_tensors_together_and_leaves_short_ones():
    made = TextGradients(
        gradients={
            "a": torch.tensor([[3.0, 0.0], [0.3, 0.0], [0.0, 0.0]]),
            "b": torch.tensor([[[4.0]], [[0.4]], [[0.0]]]),
        },
        losses=torch.zeros(3),
    )
    assert made.norms().tolist() == pytest.approx([5.0, 0.5, 0.0])
    found = made.clipped_sum(1.0)
    assert found["a"].tolist() == pytest.approx([0.6 + 0.3, 0.0])
    assert found["b"].tolist() == [pytest.approx([0.8 + 0.4])]


def test_a_model_that_cannot_pass_several_is_asked_for_one_text_after_another(monkeypatch):
    gradients = per_text("fedit")

    def together(self, texts):
        found = self.one_by_one(texts)
        apart = {name: each.flip(0) for name, each in found.gradients.items()}
        return TextGradients(gradients=apart, losses=found.losses)

    monkeypatch.setattr(PerText, "together", together)
    gradients.of(TEXTS[:1])
    assert gradients._together is None  # of one text both are the same
    found, alone = gradients.of(TEXTS), gradients.one_by_one(TEXTS)
    assert not gradients._together
    for name, each in alone.gradients.items():
        torch.testing.assert_close(found.gradients[name], each)
