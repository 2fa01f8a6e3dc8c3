"""Models that put our layers into a base model the way peft does."""

import hashlib
from abc import abstractmethod
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from torch import nn

from fl.peft.bottleneck import BottleneckAdapter, check_width
from fl.peft.places import adapter_places
from fl.peft.tensor_train_adapter import TensorTrainAdapter
from fl.peft.tuners.config import BottleneckConfig, TensorTrainConfig
from fl.peft.tuners.layer import (
    BottleneckLayer,
    SerialLayer,
    TensorTrainInstead,
    TensorTrainSerialLayer,
    TunerLayer,
    out_features,
    train_instead_of,
)


class TunerModel(BaseTuner):
    """A base model with one of our tuners in it."""

    tuner_layer_cls = TunerLayer

    def _prepare_adapter_config(self, peft_config: Any, model_config: Any) -> Any:  # noqa: ANN401
        if peft_config.target_modules is None:
            places = adapter_places(self.model, after=peft_config.after or "both")
            peft_config.target_modules = set(places)
            # Told apart from here on by the names alone, which are saved.
            peft_config.after = None
        elif peft_config.after is not None:
            msg = f"after: must be empty with target_modules, got {peft_config.after!r}"
            raise ValueError(msg)
        return peft_config

    def _create_and_replace(  # noqa: PLR0917 - as peft calls it
        self,
        peft_config: Any,  # noqa: ANN401
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        base = target.get_base_layer() if isinstance(target, BaseTunerLayer) else target
        layer_class, module = self._make(peft_config, base, key=current_key)
        module.reset(_generator(peft_config.seed, current_key))
        layer = target if isinstance(target, layer_class) else layer_class(target)
        layer.add(adapter_name, module, inference_mode=peft_config.inference_mode)
        if adapter_name not in self.active_adapters:
            module.requires_grad_(requires_grad=False)
        if layer is not target:
            self._replace_module(parent, target_name, layer, target)

    @abstractmethod
    def _make(self, config: Any, base: nn.Module, *, key: str) -> tuple[type[TunerLayer], Any]:  # noqa: ANN401
        """Return the class of layer for a target, and what an adapter adds to it, values unset."""

    def _check_merge_allowed(self) -> None:
        msg = f"{type(self).__name__}: adapters are not linear and cannot be merged into weights"
        raise ValueError(msg)

    @classmethod
    def _remove_adapter_name_from_key(cls, key: str, adapter_name: str) -> str:
        # Names read "<holder>.<adapter>.<module>.<parameter>"; peft's rule expects the adapter's
        # name last or last but one.
        front, prefix, rest = key.rpartition(f".{cls.prefix}")
        holder, _, own = rest.partition(".")
        return f"{front}{prefix}{holder}.{own.removeprefix(f'{adapter_name}.')}"


class BottleneckModel(TunerModel):
    """A base model with bottleneck adapters."""

    prefix = "bottleneck_"

    def _make(
        self, config: BottleneckConfig, base: nn.Module, *, key: str
    ) -> tuple[type[SerialLayer], BottleneckAdapter]:
        features = out_features(base)
        check_width(features, dim=config.adapter_dim)
        return BottleneckLayer, BottleneckAdapter(features=features, dim=config.adapter_dim)


class TensorTrainModel(TunerModel):
    """A base model with tensor-train adapters, and if asked a train in place of a linear layer."""

    prefix = "tensor_train_"

    @staticmethod
    def _check_target_module_exists(peft_config: Any, key: str) -> Any:  # noqa: ANN401
        found = BaseTuner._check_target_module_exists(peft_config, key)
        return found or _is_classifier(peft_config, key)

    def _make(
        self, config: TensorTrainConfig, base: nn.Module, *, key: str
    ) -> tuple[type[TunerLayer], nn.Module]:
        if _is_classifier(config, key):
            return TensorTrainInstead, train_instead_of(base, rank=config.rank)
        features = out_features(base)
        check_width(features, dim=config.adapter_dim)
        adapter = TensorTrainAdapter(features=features, dim=config.adapter_dim, rank=config.rank)
        return TensorTrainSerialLayer, adapter


def _is_classifier(config: TensorTrainConfig, key: str) -> bool:
    """Return whether a module is the one whose place a train takes."""
    return config.classifier is not None and f".{key}".endswith(f".{config.classifier}")


def _generator(seed: int, key: str) -> torch.Generator:
    """Return the source of a layer's first values: the same whatever else is adapted."""
    digest = hashlib.sha256(f"{seed} {key}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
