"""Settings of FedSA-LoRA."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class FedsaLoraConfig(AveragingOptions):
    """Low-rank adaptation whose ``A`` is averaged and whose ``B`` stays, as does the head."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of the update of the query and value projections, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    kind: Literal["fedsa_lora"] = "fedsa_lora"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def has_global_model(self) -> bool:
        """The server holds no head and no second factor."""
        return False
