"""Two low-rank adaptations beside a linear layer, mixed token by token.

``y = W x + s (g_1(x) B A x + g_2(x) B' A' x)`` with ``(g_1, g_2) = softmax(M x)``, ``s = alpha /
rank``: the layer of FedALT (arXiv:2503.11880), a mixture of two experts whose router sees a token.
``B``, ``B'`` and the mixer ``M`` are zero at the start, so both adaptations count one half and add
nothing.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from fl.models.architecture import layer_shape
from fl.peft.lora import replace_layers

WORLD = ("world_A", "world_B")
"""Ends of the names of the second adaptation's factors."""


class LoraPair(nn.Module):
    """A frozen linear layer with two low-rank updates and their mixer beside it.

    Parameters
    ----------
    base_layer
        ``nn.Linear`` or GPT-2's transposed ``Conv1D``.
    rank
        Rank of both updates.
    alpha
        Numerator of the scale ``alpha / rank``.
    """

    def __init__(self, base_layer: nn.Module, *, rank: int, alpha: float) -> None:
        super().__init__()
        self.base_layer = base_layer
        out_features, in_features = layer_shape(base_layer)
        weight: torch.Tensor = base_layer.weight  # type: ignore[assignment]
        self.lora_A = nn.Parameter(weight.new_empty((rank, in_features)))
        self.lora_B = nn.Parameter(weight.new_zeros((out_features, rank)))
        self.world_A = nn.Parameter(weight.new_empty((rank, in_features)))
        self.world_B = nn.Parameter(weight.new_zeros((out_features, rank)))
        self.mixer = nn.Parameter(weight.new_zeros((2, in_features)))
        self._scale = alpha / rank

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the layer and add the mixed updates; the last dimension holds features."""
        gates = self._scale * functional.linear(hidden, self.mixer).softmax(dim=-1)
        own = functional.linear(functional.linear(hidden, self.lora_A), self.lora_B)
        world = functional.linear(functional.linear(hidden, self.world_A), self.world_B)
        return self.base_layer(hidden) + gates[..., :1] * own + gates[..., 1:] * world


def add_lora_pair(
    module: nn.Module,
    *,
    targets: Sequence[str],
    rank: int,
    alpha: float,
    generator: torch.Generator,
) -> list[str]:
    """Put two low-rank updates and a mixer beside every target layer, in place.

    Parameters
    ----------
    module
        Backbone; its other parameters keep their values (their names gain ``base_layer``).
    targets
        Ends of the names of the linear layers to adapt.
    rank
        Rank of both updates, at least 1.
    alpha
        Scale; the updates enter as ``alpha / rank``.
    generator
        Source of both first ``A``, which begin equal, uniform within ``1 / sqrt(in features)``.

    Returns
    -------
    list of str
        Names of the added parameters, ``5`` a layer: ``lora_A`` and ``world_A`` of shape
        ``(rank, in)``, ``lora_B`` and ``world_B`` of shape ``(out, rank)``, ``mixer`` of shape
        ``(2, in)``.

    Raises
    ------
    ValueError
        No layer of that name, or a rank above the smaller side of a target layer.
    """

    def paired(base_layer: nn.Module) -> LoraPair:
        pair = LoraPair(base_layer, rank=rank, alpha=alpha)
        nn.init.kaiming_uniform_(pair.lora_A, a=math.sqrt(5), generator=generator)
        pair.world_A.data.copy_(pair.lora_A.data)
        return pair

    places = replace_layers(module, targets, rank=rank, made=paired)
    ends = ("lora_A", "lora_B", *WORLD, "mixer")
    return sorted(f"{name}.{end}" for name in places for end in ends)
