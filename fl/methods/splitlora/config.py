"""Settings of split fine-tuning on LoRA."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.models.lora_settings import LORA_SETTINGS

NUMBER_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}
"""Bytes of a number by its type."""


@dataclass(frozen=True, kw_only=True)
class SplitloraConfig(AveragingOptions):
    """One low-rank adaptation, cut in two; every step crosses the cut up and down."""

    cut_layer: Annotated[int, Gt(0)] = 1
    """Blocks of the client, beside the embedding; the server has the others and the head. At most
    those of the model, or of ``model.cost_as`` where that is set."""
    rank: Annotated[int, Gt(0)] = 8
    """Rank of the update of the query and value projections, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    activations: Literal["fp32", "fp16", "bf16"] = "fp32"
    """Type of the numbers that cross the cut, activations and gradients. It decides bytes;
    values are computed in single precision."""
    server_flop_per_s: Annotated[float, Gt(0)] | None = None
    """Operations a second with which the server works for each client at a time; it takes no time
    when empty."""
    kind: Literal["splitlora"] = "splitlora"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def shows_activations(self) -> bool:
        """Whether the server is sent what single texts give within a job: at the cut."""
        return True

    @property
    def averages_factors(self) -> bool:
        """Whether factors are averaged one by one: ``A`` and ``B`` are."""
        return True
