"""Freezing of a backbone and the values of what was put into it."""

from collections.abc import Iterable

import torch
from torch import nn


def freeze(module: nn.Module) -> None:
    """Stop the training of every parameter that the module has now."""
    for parameter in module.parameters():
        parameter.requires_grad = False


def head_names(module: nn.Module) -> list[str]:
    """Name the parameters of the classification head; none where the module has no ``head``."""
    return [name for name, _ in module.named_parameters() if name.startswith("head.")]


def snapshot(module: nn.Module, names: Iterable[str]) -> dict[str, torch.Tensor]:
    """Copy the values of some parameters, sorted by name."""
    parameters = dict(module.named_parameters())
    return {name: parameters[name].detach().clone() for name in sorted(names)}
