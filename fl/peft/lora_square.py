"""Low-rank adaptation of which only a small square matrix between two fixed factors is trained.

``y = W x + s B R A x`` with ``R`` of shape ``(rank, rank)``. ``A`` and ``B`` are fixed, so
an update has ``rank^2`` numbers a layer, whatever the width, and the mean of updates is that of
their ``R``: ``mean(B R_k A) = B mean(R_k) A``. The factors are singular vectors of the frozen
weight itself (LoRA-XS, arXiv:2405.17604 [recollected]): with ``W = U S V^T``, ``A`` holds the first
rows of ``V^T``, each times its singular value, and ``B`` the first columns of ``U``. ``R`` is zero
at the start, so a fresh adaptation changes nothing, and its gradient is not.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from fl.models.architecture import layer_shape
from fl.peft.lora import replace_layers


class LoraSquare(nn.Module):
    """A frozen linear layer with a square matrix between two fixed factors beside it.

    Parameters
    ----------
    base_layer
        ``nn.Linear`` or GPT-2's transposed ``Conv1D``.
    rank
        Rank of the update.
    alpha
        Numerator of the scale ``alpha / rank``.
    """

    is_by_vector = True
    """Each vector of the last axis is worked out by itself."""
    by_client = ("lora_R",)
    """What :meth:`forward_by_client` takes."""

    def __init__(self, base_layer: nn.Module, *, rank: int, alpha: float) -> None:
        super().__init__()
        self.base_layer = base_layer
        rows, columns = singular_factors(base_layer, rank=rank)
        self.lora_A = nn.Parameter(rows)
        self.lora_B = nn.Parameter(columns)
        self.lora_R = nn.Parameter(rows.new_zeros((rank, rank)))
        self.scale = alpha / rank
        """What the product is multiplied by."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the layer and add the scaled update."""
        low = functional.linear(functional.linear(hidden, self.lora_A), self.lora_R)
        return self.base_layer(hidden) + self.scale * functional.linear(low, self.lora_B)

    def forward_by_client(
        self,
        hidden: Float[torch.Tensor, "client vector in"],
        *,
        lora_R: Float[torch.Tensor, "client rank rank"],  # noqa: N803 -- the parameter's name
    ) -> Float[torch.Tensor, "client vector out"]:
        """Do the same with a square matrix of each client."""
        low = torch.bmm(functional.linear(hidden, self.lora_A), lora_R.transpose(1, 2))
        return self.base_layer(hidden) + self.scale * functional.linear(low, self.lora_B)


def singular_factors(
    layer: nn.Module, *, rank: int
) -> tuple[Float[torch.Tensor, "rank in"], Float[torch.Tensor, "out rank"]]:
    """Return the first singular vectors of a layer's weight, the right ones times their values.

    Worked out in float64. Each pair's sign makes the largest entry of the left vector positive, so
    that the same weight has the same factors everywhere. On the meta device there are only shapes.
    """
    weight: torch.Tensor = layer.weight.detach()  # type: ignore[operator]
    num_out, num_in = layer_shape(layer)
    if weight.is_meta:
        return weight.new_empty((rank, num_in)), weight.new_empty((num_out, rank))
    dense = weight if isinstance(layer, nn.Linear) else weight.T
    left, values, right = torch.linalg.svd(dense.to(torch.float64), full_matrices=False)
    columns, rows = left[:, :rank], values[:rank, None] * right[:rank]
    largest = columns.abs().argmax(dim=0, keepdim=True)
    signs = torch.where(columns.gather(0, largest) < 0, -1.0, 1.0).to(torch.float64)
    return (
        (signs.T * rows).to(weight.dtype).contiguous(),
        (signs * columns).to(weight.dtype).contiguous(),
    )


def add_lora_square(
    module: nn.Module, *, targets: Sequence[str], rank: int, alpha: float
) -> list[str]:
    """Put a square matrix between fixed factors beside every target layer, in place.

    Parameters
    ----------
    module
        Backbone; its other parameters keep their values (their names gain ``base_layer``).
    targets
        Ends of the names of the linear layers to adapt.
    rank
        Rank of the update, at least 1.
    alpha
        Scale; the update enters as ``alpha / rank``.

    Returns
    -------
    list of str
        Names of the added parameters, ``3`` a layer: ``lora_A`` of shape ``(rank, in)``, ``lora_B``
        of shape ``(out, rank)``, ``lora_R`` of shape ``(rank, rank)``.

    Raises
    ------
    ValueError
        No layer of that name, or a rank above the smaller side of a target layer.
    """
    places = replace_layers(
        module, targets, rank=rank, made=lambda base: LoraSquare(base, rank=rank, alpha=alpha)
    )
    return sorted(f"{name}.lora_{factor}" for name in places for factor in "ABR")
