"""RoLoRA: the factors of LoRA take turns."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.rolora.config import RoLoraConfig
from fl.peft.install import head_names
from fl.peft.lora import install_lora


def install(config: RoLoraConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value; even versions train ``B``, odd ones ``A``, all the head.

    ``B`` goes first: it starts at 0, and as long as it is 0 the loss does not depend on ``A``.
    """
    initial = install_lora(module, rank=config.rank, alpha=config.alpha, generator=generator)
    head = head_names(module)
    in_turn = [
        (*head, *(name for name in initial if name.endswith(factor)))
        for factor in (".lora_B", ".lora_A")
    ]
    return AveragingMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(initial),
        options=config,
        schedule=lambda version: in_turn[version % 2],
    )
