"""Layers that hold one of our modules for each of peft's named adapters."""

from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from fl.peft.tensor_train import TensorTrainLinear


class TunerLayer(nn.Module, BaseTunerLayer):
    """A layer of the base model and, by name of adapter, what is added to it."""

    holder: str
    """Attribute that holds the added modules; it begins with the tuner's prefix."""

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        setattr(self, self.holder, nn.ModuleDict())

    @property
    def added(self) -> nn.ModuleDict:
        """What was added, by name of adapter."""
        return getattr(self, self.holder)

    def add(self, adapter_name: str, module: nn.Module, *, inference_mode: bool) -> None:
        """Take in what belongs to an adapter; it moves to the base layer's device and type."""
        self.added[adapter_name] = module
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=inference_mode)

    def active(self) -> list[nn.Module]:
        """Return what the active adapters added here."""
        if self.disable_adapters:
            return []
        return [self.added[name] for name in self.active_adapters if name in self.added]


class SerialLayer(TunerLayer):
    """The base layer, followed by the active adapters, one after the other."""

    def forward(self, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        """Apply the base layer, then the adapters."""
        hidden = self.base_layer(hidden, *args, **kwargs)
        for adapter in self.active():
            hidden = in_own_type(adapter, hidden)
        return hidden


class BottleneckLayer(SerialLayer):
    """A projection and its bottleneck adapters."""

    holder = "bottleneck_adapters"
    adapter_layer_names = ("bottleneck_adapters",)


class TensorTrainSerialLayer(SerialLayer):
    """A projection and its tensor-train adapters."""

    holder = "tensor_train_adapters"
    adapter_layer_names = ("tensor_train_adapters",)


class TensorTrainInstead(TunerLayer):
    """A linear layer in whose place an active tensor train stands."""

    holder = "tensor_train_dense"
    adapter_layer_names = ("tensor_train_dense",)

    def forward(self, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        """Apply the active train, or the base layer if none is.

        Raises
        ------
        ValueError
            Two adapters are active that both replace the layer.
        """
        active = self.active()
        if len(active) > 1:
            msg = f"classifier: one active adapter can replace a layer, got {self.active_adapters}"
            raise ValueError(msg)
        if not active:
            return self.base_layer(hidden, *args, **kwargs)
        return in_own_type(active[0], hidden)


def out_features(layer: nn.Module) -> int:
    """Return the width of a projection's result; GPT-2 stores its weights transposed.

    Raises
    ------
    ValueError
        The layer is no projection.
    """
    width = getattr(layer, "out_features", getattr(layer, "nf", None))
    if width is None:
        msg = f"target_modules: must name linear layers, got a {type(layer).__name__}"
        raise ValueError(msg)
    return int(width)


def train_instead_of(layer: nn.Module, *, rank: int) -> TensorTrainLinear:
    """Make a tensor train of the shape of a linear layer.

    Raises
    ------
    ValueError
        The layer is not linear.
    """
    if not isinstance(layer, nn.Linear):
        msg = f"classifier: must name a linear layer, got a {type(layer).__name__}"
        raise ValueError(msg)  # noqa: TRY004 - the setting does not suit the model
    return TensorTrainLinear(
        in_features=layer.in_features, out_features=layer.out_features, rank=rank
    )


def in_own_type(module: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """Apply a module in the number type of its parameters."""
    own = next(module.parameters()).dtype
    return module(hidden.to(own)).to(hidden.dtype)
