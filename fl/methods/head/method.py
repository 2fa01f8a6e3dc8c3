"""The head alone: a linear classifier on frozen features, averaged."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.head.config import HeadConfig
from fl.peft.install import freeze, head_names, snapshot


def install(config: HeadConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Share the head; nothing else is trained.

    Raises
    ------
    ValueError
        If the module has no head.
    """
    del generator
    freeze(module)
    initial = snapshot(module, head_names(module))
    if not initial:
        msg = f"kind: head needs a model with a head, {type(module).__name__} has none"
        raise ValueError(msg)
    return AveragingMethod(kind=config.kind, initial=initial, shared=tuple(initial), options=config)
