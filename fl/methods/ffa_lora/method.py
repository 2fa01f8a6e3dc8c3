"""FFA-LoRA: the second factor and the head are shared, the first is a constant."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.ffa_lora.config import FfaLoraConfig
from fl.peft.lora import install_lora


def install(config: FfaLoraConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value; ``B`` and the head travel, ``A`` every client draws itself."""
    initial = install_lora(module, rank=config.rank, alpha=config.alpha, generator=generator)
    return AveragingMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(name for name in initial if not name.endswith(".lora_A")),
        options=config,
    )
