"""FedAP: adapters, norms and head are shared."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.fedadapter.config import FedAdapterConfig
from fl.peft.bottleneck import add_bottleneck_adapters
from fl.peft.install import freeze, head_names, snapshot


def install(config: FedAdapterConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put adapters behind attention and feed-forward; they, the norms and the head travel."""
    freeze(module)
    norms = norm_names(module) if config.train_norms else []
    adapters = add_bottleneck_adapters(module, dim=config.adapter_dim, generator=generator)
    initial = snapshot(module, [*adapters, *norms, *head_names(module)])
    return AveragingMethod(kind=config.kind, initial=initial, shared=tuple(initial), options=config)


def norm_names(module: nn.Module) -> list[str]:
    """Name the parameters of all norms; architectures have classes of their own, all so called."""
    return [
        f"{name}.{leaf}"
        for name, layer in module.named_modules()
        if type(layer).__name__.endswith("Norm")
        for leaf, _ in layer.named_parameters(recurse=False)
    ]
