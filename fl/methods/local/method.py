"""Local training: personal LoRA and head, no exchange."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.local.config import LocalConfig
from fl.peft.lora import install_lora


def install(config: LocalConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value projections; it and the head belong to each client."""
    initial = install_lora(module, rank=config.rank, alpha=config.alpha, generator=generator)
    return AveragingMethod(
        kind=config.kind, initial=initial, shared=(), own=tuple(initial), has_global_model=False
    )
