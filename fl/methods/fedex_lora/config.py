"""Settings of FedEx-LoRA."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import MethodOptions
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class FedexLoraConfig(MethodOptions):
    """Low-rank adaptation with averaged factors; what that loses is merged into the weights."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of the update of the query and value projections, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    kind: Literal["fedex_lora"] = "fedex_lora"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def same_download(self) -> bool:
        """Never for certain: a client that was away lacks more than the others."""
        return False

    @property
    def adds_up_downloads(self) -> bool:
        """Whether clients add what they are sent to what they hold: stacks, one after another."""
        return True

    @property
    def averages_factors(self) -> bool:
        """Whether factors are averaged one by one: they are, and the rest follows them."""
        return True
