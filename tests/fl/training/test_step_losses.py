"""Losses of steps are summed over texts, and what is not finite is named."""

import pytest
import torch

from fl.training.step_losses import StepLosses
from tests.fl.training.jobs import job_of, worker_of


def test_means_are_over_texts():
    losses = StepLosses(job_of(worker_of("head")))
    losses.add([torch.tensor(1.0)], [torch.tensor([0.5, 1.5])])
    losses.add([torch.tensor(4.0)], [torch.tensor([4.0])])
    assert (losses.num_steps, losses.num_texts) == (2, 3)
    assert losses.mean == pytest.approx(2.0)
    assert losses.rms == pytest.approx(((0.25 + 2.25 + 16) / 3) ** 0.5)


def test_on_the_cpu_a_loss_is_read_at_once():
    losses = StepLosses(job_of(worker_of("head"), client_id=2, round=5))
    losses.add([torch.tensor(1.0)], [torch.tensor([1.0])])
    with pytest.raises(FloatingPointError, match="loss nan at step 1 of client 2 in round 5"):
        losses.add([torch.tensor(float("nan"))], [torch.tensor([1.0])])


def test_elsewhere_losses_are_read_after_the_last_step():
    losses = StepLosses(job_of(worker_of("head")))
    away = torch.tensor(1.0, device="meta")
    losses.add([away], [torch.ones(2)])
    losses.add([away], [torch.ones(2)])
    assert losses.num_steps == 0
