"""Federated averaging on LoRA: adaptation and head are shared."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.fedit.config import FeditConfig
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.lora import add_lora, query_and_value


def install(config: FeditConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value projections; it and the head travel and are averaged."""
    freeze(module)
    lora = add_lora(
        module,
        targets=query_and_value(module),
        rank=config.rank,
        alpha=config.alpha,
        generator=generator,
    )
    initial = snapshot(module, [*lora, *head_names(module)])
    return AveragingMethod(kind=config.kind, initial=initial, shared=tuple(initial), options=config)
