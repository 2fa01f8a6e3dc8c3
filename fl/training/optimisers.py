"""The optimiser of a job's tensors, made from its settings."""

from collections.abc import Collection, Mapping
from typing import Any

import torch

from fl.training.job import JobSettings
from fl.training.optimiser_settings import Sgd
from fl.training.rate_schedule import CONSTANT_RATE, rate_factor


def new_optimiser(
    settings: JobSettings, named: Mapping[str, torch.Tensor], *, undecayed: Collection[str]
) -> torch.optim.Optimizer:
    """Return a fresh optimiser of some tensors.

    Parameters
    ----------
    settings
        Of the job.
    named
        What is trained, by name.
    undecayed
        Those without weight decay: :func:`undecayed_names`.
    """
    groups: list[dict[str, Any]] = [
        {"params": [each for name, each in named.items() if name not in undecayed]},
        {
            "params": [each for name, each in named.items() if name in undecayed],
            "weight_decay": 0.0,
        },
    ]
    groups = [group for group in groups if group["params"]]
    optimiser, rate, decay = settings.optimiser, settings.learning_rate, settings.weight_decay
    # Fused is one kernel for all tensors: a small model's step is mostly overhead.
    if isinstance(optimiser, Sgd):
        return torch.optim.SGD(
            groups,
            lr=rate,
            momentum=optimiser.momentum,
            nesterov=optimiser.nesterov,
            weight_decay=decay,
            fused=True,
        )
    return torch.optim.AdamW(groups, lr=rate, weight_decay=decay, fused=True)


def undecayed_names(settings: JobSettings, start: Mapping[str, torch.Tensor]) -> frozenset[str]:
    """Name the tensors whose values do not decay: vectors (norms, biases), where so asked.

    Parameters
    ----------
    settings
        Of the job.
    start
        What is trained, as the job began with it: shapes matter.
    """
    if settings.decays_norms_and_biases:
        return frozenset()
    return frozenset(name for name, value in start.items() if value.dim() <= 1)


def set_rate(
    optimiser: torch.optim.Optimizer, settings: JobSettings, *, step: int, num_steps: int
) -> None:
    """Give the optimiser the learning rate of a step, from 0, of so many of the job."""
    if settings.step_schedule == CONSTANT_RATE and not settings.warmup_steps:
        return
    for group in optimiser.param_groups:
        group["lr"] = _rate(settings, step=step, num_steps=num_steps)


def total_rate(settings: JobSettings, *, num_texts: int) -> float:
    """Return the sum of the learning rates of the steps of a job on so many texts."""
    num_steps = settings.local_steps
    if num_steps is None:
        size = min(settings.batch_size, num_texts)
        num_steps = (settings.local_epochs or 0) * -(-num_texts // size)
    return sum(_rate(settings, step=step, num_steps=num_steps) for step in range(num_steps))


def _rate(settings: JobSettings, *, step: int, num_steps: int) -> float:
    factor = rate_factor(
        settings.step_schedule,
        version=step,
        num_rounds=num_steps,
        warmup_rounds=settings.warmup_steps,
    )
    return factor * settings.learning_rate
