"""Settings of Fed-SB."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions


@dataclass(frozen=True, kw_only=True)
class FedSbConfig(AveragingOptions):
    """Low-rank adaptation of which a square matrix between two fixed factors is averaged."""

    rank: Annotated[int, Gt(0)] = 16
    """Rank of the update of the query and value projections: ``rank^2`` numbers a layer travel."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    kind: Literal["fed_sb"] = "fed_sb"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it."""
        return ("targets",)
