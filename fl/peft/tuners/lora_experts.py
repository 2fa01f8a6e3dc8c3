"""Mixtures of LoRA experts in peft's form: settings, layer, model.

The layers are those of :class:`fl.peft.lora_experts.LoraExperts`; what a client of a simulation
trained can be loaded here.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from peft import PeftConfig
from torch import nn

from fl.models.architecture import attention_targets, layer_shape
from fl.peft.lora_experts import LoraExperts
from fl.peft.tuners.config import TunerType, check_positive
from fl.peft.tuners.layer import TunerLayer, in_own_type, out_features
from fl.peft.tuners.model import TunerModel


@dataclass
class LoraExpertsConfig(PeftConfig):
    """A shared LoRA, domain LoRAs and a router beside each target layer."""

    num_experts: int = 6
    """Domain experts of each layer."""
    num_experts_pattern: dict[str, int] = field(default_factory=dict)
    """Domain experts of single layers, by the ends of their names."""
    rank: int = 8
    """Rank of every expert."""
    alpha: float = 16.0
    """Scale of what experts add: it enters as ``alpha / rank``."""
    top_k: int = 2
    """Domain experts that a token goes through."""
    target_modules: set[str] | list[str] | str | None = None
    """Layers beside which experts stand; query and value projections when empty."""
    modules_to_save: list[str] | None = None
    """Modules that are trained whole and saved too, such as a classification head."""
    seed: int = 0
    """First values are drawn from this and the name of the layer; never from torch's generator."""

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.peft_type = TunerType.LORA_EXPERTS
        check_positive("rank", self.rank)
        check_positive("top_k", self.top_k)
        for name, count in {"": self.num_experts, **self.num_experts_pattern}.items():
            check_positive(f"num_experts_pattern.{name}" if name else "num_experts", count)

    def experts_at(self, key: str) -> int:
        """Return the domain experts of the layer of this name: of the longest suffix that fits."""
        ends = [end for end in self.num_experts_pattern if f".{key}".endswith(f".{end}")]
        return self.num_experts_pattern[max(ends, key=len)] if ends else self.num_experts


class LoraExpertsLayer(TunerLayer):
    """A linear layer and the experts of the active adapters, which all add to its output."""

    holder = "lora_experts_added"
    adapter_layer_names = ("lora_experts_added",)

    def forward(self, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        """Apply the base layer and add what the experts say."""
        result = self.base_layer(hidden, *args, **kwargs)
        for experts in self.active():
            result = result + in_own_type(experts, hidden)
        return result


class LoraExpertsModel(TunerModel):
    """A base model with mixtures of LoRA experts."""

    prefix = "lora_experts_"
    tuner_layer_cls = LoraExpertsLayer

    def balance_loss(self) -> torch.Tensor:
        """Sum the balance losses of the last forward pass; to be added, weighted, to the loss.

        Raises
        ------
        RuntimeError
            No forward pass has recorded gradients.
        """
        losses = [
            experts.balance
            for layer in self.modules()
            if isinstance(layer, LoraExpertsLayer)
            for experts in layer.active()
            if isinstance(experts, LoraExperts) and experts.balance is not None
        ]
        if not losses:
            msg = "balance_loss: a forward pass that records gradients must have run"
            raise RuntimeError(msg)
        return torch.stack(losses).sum()

    def _prepare_adapter_config(self, peft_config: Any, model_config: Any) -> Any:  # noqa: ANN401
        if peft_config.target_modules is None:
            targets = attention_targets(self.model)
            peft_config.target_modules = {targets.query, targets.value}
        return peft_config

    def _make(
        self, config: LoraExpertsConfig, base: nn.Module, *, key: str
    ) -> tuple[type[TunerLayer], LoraExperts]:
        out_features(base)  # refuses what is no projection
        width, in_features = layer_shape(base)
        if config.rank > min(width, in_features):
            msg = (
                f"rank: must be <= {min(width, in_features)}, the smaller side of the layer {key}, "
                f"got {config.rank}"
            )
            raise ValueError(msg)
        experts = LoraExperts(
            in_features=in_features,
            out_features=width,
            num_experts=config.experts_at(key),
            rank=config.rank,
            alpha=config.alpha,
            top_k=config.top_k,
        )
        return LoraExpertsLayer, experts
