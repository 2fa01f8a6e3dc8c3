"""FFA-LoRA: the second factor and the head are shared, the first is a constant."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.ffa_lora.config import FfaLoraConfig
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.lora import add_lora, query_and_value


def install(config: FfaLoraConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value; ``B`` and the head travel, ``A`` every client draws itself."""
    freeze(module)
    lora = add_lora(
        module,
        targets=query_and_value(module),
        rank=config.rank,
        alpha=config.alpha,
        generator=generator,
    )
    head = head_names(module)
    return AveragingMethod(
        kind=config.kind,
        initial=snapshot(module, [*lora, *head]),
        shared=tuple(sorted([*head, *(name for name in lora if name.endswith(".lora_B"))])),
        options=config,
    )
