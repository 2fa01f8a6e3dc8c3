"""BitFit: biases and head are shared."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.bitfit.config import BitfitConfig
from fl.peft.install import freeze, head_names, snapshot
from fl.problems import ModelError


def install(config: BitfitConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Share every bias of the backbone, those of its norms included, and the head.

    Raises
    ------
    fl.problems.ModelError
        If the backbone has no bias.
    """
    del generator
    freeze(module)
    head = head_names(module)
    biases = [
        name for name, _ in module.named_parameters() if name.endswith(".bias") and name not in head
    ]
    if not biases:
        encoder = type(getattr(module, "encoder", module)).__name__
        msg = f"model.name: bitfit trains the biases of the backbone; {encoder} has none"
        raise ModelError(msg)
    initial = snapshot(module, [*biases, *head])
    return AveragingMethod(kind=config.kind, initial=initial, shared=tuple(initial), options=config)
