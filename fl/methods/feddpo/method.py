"""Federated averaging on LoRA that learns from pairs of answers."""

from dataclasses import dataclass

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.feddpo.config import FeddpoConfig
from fl.peft.lora import install_lora
from fl.training.objective import TASK_LOSS, Objective, PreferencePairs


@dataclass(frozen=True, kw_only=True)
class _PairsMethod(AveragingMethod):
    """An averaging method whose jobs learn from pairs."""

    objective: Objective = TASK_LOSS


def install(config: FeddpoConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value projections; it travels and is averaged."""
    initial = install_lora(module, rank=config.rank, alpha=config.alpha, generator=generator)
    return _PairsMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(initial),
        options=config,
        objective=PreferencePairs(kl_weight=config.kl_weight),
    )
