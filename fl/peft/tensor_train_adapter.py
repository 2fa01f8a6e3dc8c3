"""Tensor-train adapters behind a block's projections, and a tensor-train classification head.

``h <- h + TT_up(relu(TT_down(h)))`` with both matrices as tensor trains, biases in both: the
bottleneck adapter of LoRETTA (arXiv:2402.11417, text and code), which FedTT (arXiv:2410.13097)
follows in shape and rank. There factors start as small noise, so that unlike other adapters a fresh
one is not the identity; a start at the identity is our option.
"""

import torch
from torch import nn
from torch.nn import functional

from fl.models.architecture import layer_shape
from fl.peft.bottleneck import check_width
from fl.peft.places import After, adapter_places, put_behind
from fl.peft.tensor_train import TensorTrainLinear


class TensorTrainAdapter(nn.Module):
    """Residual bottleneck of two tensor-train layers; values are unset until :meth:`reset`."""

    def __init__(
        self, *, features: int, dim: int, rank: int, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__()
        self.down = TensorTrainLinear(
            in_features=features, out_features=dim, rank=rank, device=device
        )
        self.up = TensorTrainLinear(
            in_features=dim, out_features=features, rank=rank, device=device
        )

    def reset(self, generator: torch.Generator, *, is_identity: bool = False) -> None:
        """Draw new values; those of an identity add nothing, by a last factor and bias of 0."""
        self.down.reset(generator)
        self.up.reset(generator)
        if is_identity:
            with torch.no_grad():
                self.up.cores[-1].zero_()
                self.up.bias.zero_()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return ``hidden`` plus the bottleneck's output; last axis of ``features`` entries."""
        return hidden + self.up(functional.relu(self.down(hidden)))


class TensorTrainHead(nn.Module):
    """Classification head: a tensor-train layer, tanh, and the linear layer that was there.

    The form of RoBERTa's head with its square layer as a tensor train, which is how LoRETTA applies
    it.
    """

    def __init__(self, out_proj: nn.Linear, *, rank: int) -> None:
        super().__init__()
        features = out_proj.in_features
        self.dense = TensorTrainLinear(
            in_features=features,
            out_features=features,
            rank=rank,
            device=out_proj.weight.device,
        )
        self.out_proj = out_proj

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return class scores of pooled features."""
        return self.out_proj(torch.tanh(self.dense(features)))


def add_tensor_train_adapters(
    module: nn.Module,
    *,
    dim: int,
    rank: int,
    generator: torch.Generator,
    after: After = "both",
    is_identity: bool = False,
) -> list[str]:
    """Put a tensor-train adapter behind projections of every block, in place.

    Parameters
    ----------
    module
        Backbone; its own parameters keep their values (their names gain ``base_layer``).
    dim
        Width of the bottleneck, from 1 to 4 times that of the block.
    rank
        Rank of the trains.
    generator
        Source of the first values.
    after
        Behind which projections of a block.
    is_identity
        Whether fresh adapters change nothing.

    Returns
    -------
    list of str
        Names of the added parameters: ``P_down + P_up + m + d`` numbers an adapter, ``P`` those of
        a train (:func:`fl.peft.tensor_train.train_numbers`).

    Raises
    ------
    ValueError
        A bottleneck wider than 4 times the block, a rank that no train can use, or an unknown
        architecture.
    """
    places = adapter_places(module, after=after)
    check_width(min(layer_shape(module.get_submodule(name))[0] for name in places), dim=dim)
    added = []
    for name in places:
        base = module.get_submodule(name)
        weight: torch.Tensor = base.weight  # type: ignore[assignment]
        adapter = TensorTrainAdapter(
            features=layer_shape(base)[0], dim=dim, rank=rank, device=weight.device
        )
        adapter.reset(generator, is_identity=is_identity)
        added += put_behind(module, name, adapter)
    return sorted(added)


def add_tensor_train_head(module: nn.Module, *, rank: int, generator: torch.Generator) -> list[str]:
    """Put a tensor-train layer and tanh before the linear ``head``, in place.

    Returns
    -------
    list of str
        Names of the added parameters, ``head.dense....``; those of the linear layer become
        ``head.out_proj....`` and stay the same objects.

    Raises
    ------
    ValueError
        The module has no linear ``head``, or a rank that the train cannot use.
    """
    out_proj = getattr(module, "head", None)
    if not isinstance(out_proj, nn.Linear):
        msg = f"classifier: needs a linear layer named head, {type(module).__name__} has none"
        raise ValueError(msg)  # noqa: TRY004 - the setting does not suit the model
    head = TensorTrainHead(out_proj, rank=rank)
    head.dense.reset(generator)
    module.head = head
    return sorted(f"head.dense.{name}" for name, _ in head.dense.named_parameters())
