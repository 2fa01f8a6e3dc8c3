"""Settings of FFA-LoRA."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class FfaLoraConfig(AveragingOptions):
    """Low-rank adaptation whose first factor is drawn once from the seed and never trained."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of the update of the query and value projections, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    kind: Literal["ffa_lora"] = "ffa_lora"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS
