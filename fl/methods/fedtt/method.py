"""Federated averaging of tensor-train adapters, factor by factor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.fedtt.config import FedttConfig, TensorTrainOptions
from fl.models.architecture import layer_shape
from fl.payload import Tensors
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.places import adapter_places
from fl.peft.tensor_train import TensorTrainLinear
from fl.peft.tensor_train_adapter import add_tensor_train_adapters, add_tensor_train_head

USUAL_WIDTH = 64
"""Bottleneck of the published adapters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What was put into a backbone, by name."""

    initial: Tensors
    """First value of every installed tensor, that of the head included."""
    factors: Mapping[str, Sequence[str]]
    """By tensor train, the names of its factors, first to last."""
    frozen: frozenset[str]
    """What is never trained nor sent: the biases of the trains, if asked."""


def install(config: FedttConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put tensor-train adapters and head into a backbone; what is trained travels, averaged."""
    installed = install_trains(config, module, generator=generator)
    return AveragingMethod(
        kind=config.kind,
        initial=installed.initial,
        shared=tuple(name for name in installed.initial if name not in installed.frozen),
        options=config,
    )


def install_trains(
    config: TensorTrainOptions, module: nn.Module, *, generator: torch.Generator
) -> Installed:
    """Freeze a backbone and put tensor-train adapters, and if asked a train before the head, in it.

    Raises
    ------
    ValueError
        A width or rank that does not suit the model, an unknown architecture, or a kind of
        classifier for a model that classifies nothing.
    """
    freeze(module)
    names = add_tensor_train_adapters(
        module,
        dim=_width(config, module),
        rank=config.rank,
        generator=generator,
        after=config.after,
        is_identity=config.start == "identity",
    )
    has_head = bool(head_names(module))
    if config.classifier is not None and not has_head:
        msg = f"classifier: must be empty for a model without a head, got {config.classifier!r}"
        raise ValueError(msg)
    if has_head and config.classifier != "linear":
        add_tensor_train_head(module, rank=config.rank, generator=generator)
    trains = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, TensorTrainLinear)
    }
    return Installed(
        initial=snapshot(module, [*names, *head_names(module)]),
        factors={
            name: [f"{name}.cores.{index}" for index in range(len(layer.cores))]
            for name, layer in trains.items()
        },
        frozen=frozenset(f"{name}.bias" for name in trains if config.freeze_biases),
    )


def _width(config: TensorTrainOptions, module: nn.Module) -> int:
    """Return the width of the bottleneck, that of the narrowest place when none is set."""
    if config.adapter_dim is not None:
        return config.adapter_dim
    places = adapter_places(module, after=config.after)
    features = min(layer_shape(module.get_submodule(name))[0] for name in places)
    return max(1, min(USUAL_WIDTH, features // 2))
