"""Federated averaging on LoRA that learns from pairs of answers."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.feddpo.config import FeddpoConfig
from fl.peft.lora import install_lora
from fl.training.objective import PreferencePairs


def install(config: FeddpoConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value projections; it travels and is averaged."""
    initial = install_lora(module, rank=config.rank, alpha=config.alpha, generator=generator)
    return AveragingMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(initial),
        options=config,
        objective=PreferencePairs(kl_weight=config.kl_weight),
    )
