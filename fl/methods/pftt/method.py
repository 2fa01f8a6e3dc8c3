"""Shared bottleneck adapters with personal LoRA."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.pftt.config import PfttConfig
from fl.peft.bottleneck import add_bottleneck_adapters
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.lora import add_lora, query_and_value


def install(config: PfttConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put adapters behind attention and feed-forward (shared), LoRA on query and value (personal).

    With a shared head the server has a whole model: adapters and head, no LoRA. With personal
    heads it has none, and only the clients' models are evaluated.
    """
    freeze(module)
    lora = add_lora(
        module,
        targets=query_and_value(module),
        rank=config.rank,
        alpha=config.alpha,
        generator=generator,
    )
    adapters = add_bottleneck_adapters(module, dim=config.adapter_dim, generator=generator)
    head = head_names(module)
    initial = snapshot(module, [*lora, *adapters, *head])
    shares_head = config.head == "shared"
    return AveragingMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(sorted([*adapters, *head] if shares_head else adapters)),
        neutral={name: initial[name] for name in lora} if shares_head else None,
    )
