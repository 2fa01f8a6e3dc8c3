"""Settings of federated averaging on LoRA."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class FeditConfig(AveragingOptions):
    """One low-rank adaptation and one head, both averaged over clients."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of the update of the query and value projections, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    kind: Literal["fedit"] = "fedit"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def averages_factors(self) -> bool:
        """Whether factors are averaged one by one: ``A`` and ``B`` are."""
        return True

    @property
    def can_average_products(self) -> bool:
        """Whether products can be averaged in place of factors: yes."""
        return True
