"""Settings of local training."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import MethodOptions
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class LocalConfig(MethodOptions):
    """Every client trains its own low-rank adaptation and head; nothing travels."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of the update of the query and value projections."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    kind: Literal["local"] = "local"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def sends(self) -> bool:
        """Nothing crosses the link."""
        return False

    @property
    def has_global_model(self) -> bool:
        """The server holds no model."""
        return False

    @property
    def merges_changes(self) -> bool:
        """Whether the server averages what it is sent: it is sent nothing."""
        return True
