"""Federated averaging on LoRA: adaptation and head are shared."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.fedit.config import FeditConfig
from fl.peft.lora import install_lora


def install(config: FeditConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value projections; it and the head travel and are averaged."""
    initial = install_lora(module, rank=config.rank, alpha=config.alpha, generator=generator)
    return AveragingMethod(kind=config.kind, initial=initial, shared=tuple(initial), options=config)
