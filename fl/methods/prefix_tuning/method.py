"""Prefix tuning: prefixes, or the network that makes them, and head are shared."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.prefix_tuning.config import PrefixTuningConfig
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.prefix import add_prefix


def install(config: PrefixTuningConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put prefixes into every attention layer; what makes them and the head travel."""
    freeze(module)
    prefix = add_prefix(
        module,
        num_tokens=config.num_virtual_tokens,
        projection_dim=config.projection_dim,
        generator=generator,
    )
    initial = snapshot(module, [*prefix, *head_names(module)])
    return AveragingMethod(kind=config.kind, initial=initial, shared=tuple(initial), options=config)
