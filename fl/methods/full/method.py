"""Full fine-tuning: every weight travels."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.full.config import FullConfig
from fl.peft.install import freeze


def install(config: FullConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Share all weights, head included; nothing is added and nothing drawn.

    The initial values are the loaded weights themselves, not a copy: a job trains copies of what it
    is given.
    """
    del generator
    freeze(module)
    initial = {name: parameter.detach() for name, parameter in sorted(module.named_parameters())}
    return AveragingMethod(kind=config.kind, initial=initial, shared=tuple(initial), options=config)
