"""Settings of FedALT."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import MethodOptions


@dataclass(frozen=True, kw_only=True)
class FedaltConfig(MethodOptions):
    """An own low-rank adaptation, the frozen mean of the other clients' ones, and a mixer."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of both updates of the query and value projections, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the updates: they enter as ``alpha / rank``, each times its share of the mixer."""
    kind: Literal["fedalt"] = "fedalt"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it."""
        return ("targets",)

    @property
    def has_global_model(self) -> bool:
        """Whether the server holds a whole model: heads and mixers stay at clients."""
        return False

    @property
    def same_download(self) -> bool:
        """Each client gets the mean of all others."""
        return False
