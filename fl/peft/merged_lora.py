"""Low-rank adaptation beside a dense update that has been merged into the frozen weight.

``y = (W + M) x + b + s B A x``: ``M`` holds what earlier rounds added up to. It is installed and
exchanged like any other tensor but never trained, and it is added to ``W`` before the product, so a
step costs the matrix products of plain LoRA and no more. ``M`` starts at zero: a fresh layer
changes no bit of what the backbone says.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from fl.models.architecture import layer_shape
from fl.peft.lora import LoraLinear, add_lora, dropped

MERGED = ".merged"
"""End of the name of the dense update of a layer."""


class MergedLora(nn.Module):
    """A low-rank update whose frozen layer carries a dense one.

    Parameters
    ----------
    lora
        The layer to take over, its values included.
    """

    reads_base_weight = True
    """The frozen weight is added to, so it must be there as it is."""

    def __init__(self, lora: LoraLinear) -> None:
        super().__init__()
        self.base_layer = lora.base_layer
        self.lora_A = lora.lora_A
        self.lora_B = lora.lora_B
        self.scale = lora.scale
        self.lora_dropout = lora.lora_dropout
        shape = layer_shape(self.base_layer)
        self.merged = nn.Parameter(self.lora_A.new_zeros(shape), requires_grad=False)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the layer with its dense update and add the scaled low-rank one."""
        weight: torch.Tensor = self.base_layer.weight  # type: ignore[assignment]
        bias: torch.Tensor | None = self.base_layer.bias  # type: ignore[assignment]
        # GPT-2 stores its weights transposed.
        rows = weight if isinstance(self.base_layer, nn.Linear) else weight.T
        low = functional.linear(dropped(self, hidden), self.lora_A)
        dense = functional.linear(hidden, rows + self.merged, bias)
        return dense + self.scale * functional.linear(low, self.lora_B)


def add_merged_lora(
    module: nn.Module,
    *,
    targets: Sequence[str],
    rank: int,
    alpha: float,
    generator: torch.Generator,
) -> list[str]:
    """Put a low-rank and a dense update into every target layer, in place.

    Parameters are those of :func:`fl.peft.lora.add_lora`. The product is scaled for this rank
    whatever rank a client's values have, for products are added up.

    Returns
    -------
    list of str
        Names of the added parameters, ``3`` a layer: ``lora_A`` of shape ``(rank, in)``, ``lora_B``
        of shape ``(out, rank)``, ``merged`` of shape ``(out, in)``.
    """
    added = add_lora(
        module, targets=targets, rank=rank, alpha=alpha, generator=generator, scale_rank=rank
    )
    for name in {added_name.rpartition(".")[0] for added_name in added}:
        parent_name, _, leaf = name.rpartition(".")
        parent = module.get_submodule(parent_name)
        lora: LoraLinear = getattr(parent, leaf)
        setattr(parent, leaf, MergedLora(lora))
        added.append(name + MERGED)
    return sorted(added)
