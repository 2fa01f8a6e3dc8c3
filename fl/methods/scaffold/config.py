"""Settings of stochastic controlled averaging on LoRA."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import MethodOptions
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class ScaffoldConfig(MethodOptions):
    """One low-rank adaptation and one head; every step is corrected towards that of all clients."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of the update of the query and value projections, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    server_learning_rate: Annotated[float, Gt(0)] = 1.0
    """Part of the mean change that the server follows; 1 is plain averaging."""
    kind: Literal["scaffold"] = "scaffold"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def averages_factors(self) -> bool:
        """Whether factors are averaged one by one: ``A`` and ``B`` are."""
        return True

    @property
    def needs_plain_descent(self) -> bool:
        """Whether steps must be plain gradient descent: control variates are read off them."""
        return True
