"""Frozen weights in fewer bits on the machine that trains: half precision, or one byte and less.

Nothing of it belongs to the simulated devices, whose numbers are ``clients.precision``.
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from fl.models.language import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenLayer:
    """A linear layer whose parameters are all frozen, used here alone, and read by nobody else."""

    parent: nn.Module
    name: str
    """In the parent."""
    layer: nn.Module
    """A ``torch.nn.Linear``, or GPT-2's ``Conv1D``."""


def frozen_layers(module: nn.Module, *, installed: frozenset[str]) -> list[FrozenLayer]:
    """Find the linear layers whose weights may be kept in another form.

    Left out are layers with a parameter of the method, weights that serve twice (a token embedding
    that scores as well), and layers whose weight something else reads: a module around a layer that
    uses more than its result has the attribute ``reads_base_weight = True``.

    Parameters
    ----------
    module
        Model with a method installed.
    installed
        Names of the parameters that are the method's.
    """
    own = {id(each) for name, each in module.named_parameters() if name in installed}
    uses: dict[int, int] = {}
    for part in module.modules():
        for parameter in part.parameters(recurse=False):
            uses[id(parameter)] = uses.get(id(parameter), 0) + 1
    return [
        FrozenLayer(parent=parent, name=name, layer=layer)
        for parent in module.modules()
        for name, layer in parent.named_children()
        if type(layer) in {nn.Linear, Conv1D}
        and not getattr(parent, "reads_base_weight", False)
        and all(id(each) not in own and uses[id(each)] == 1 for each in layer.parameters())
    ]


def store_half(module: nn.Module, dtype: torch.dtype, *, installed: frozenset[str]) -> int:
    """Keep frozen weights of linear layers in half precision; return the bytes that this saves.

    Under autocast of the same type each product rounds them so anyway: results are the same, to the
    bit, the weights take half the memory and are not rounded at every pass.

    Parameters
    ----------
    module, installed
        As of :func:`frozen_layers`.
    dtype
        Of autocast.
    """
    saved = 0
    for place in frozen_layers(module, installed=installed):
        for parameter in place.layer.parameters():
            parameter.data = parameter.data.to(dtype)
            saved += parameter.nbytes
    return saved


def is_output(module: nn.Module, layer: nn.Module) -> bool:
    """Whether a layer scores the vocabulary."""
    return isinstance(module, LanguageModel) and layer is module.lm_head
