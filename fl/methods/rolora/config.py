"""Settings of RoLoRA."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class RoLoraConfig(AveragingOptions):
    """Low-rank adaptation that trains and sends ``B`` first, then ``A``, and so on in turn."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of the update of the query and value projections, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    kind: Literal["rolora"] = "rolora"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def same_download(self) -> bool:
        """Each client gets what has changed since it last took part."""
        return False

    @property
    def takes_turns(self) -> bool:
        """Whether versions train different tensors: ``B`` and ``A`` in turn."""
        return True

    @property
    def averages_factors(self) -> bool:
        """Whether factors are averaged one by one: ``A`` and ``B`` are, in turn."""
        return True
