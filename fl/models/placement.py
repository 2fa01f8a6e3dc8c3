"""Putting a model on a device, with weights that serve twice still one weight."""

import torch
from torch import nn


def place(module: nn.Module, device: torch.device | str) -> None:
    """Move a module, in place; parameters that several of its parts share stay shared.

    ``torch.nn.Module.to`` gives each part a parameter of its own where the kind of memory changes,
    as on the meta device: a token embedding that scores as well would count twice.

    Parameters
    ----------
    module
        What to move.
    device
        Where.
    """
    shared: dict[int, list[tuple[nn.Module, str]]] = {}
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            shared.setdefault(id(parameter), []).append((part, name))
    module.to(device)
    for (first, first_name), *others in shared.values():
        for part, name in others:
            setattr(part, name, getattr(first, first_name))
