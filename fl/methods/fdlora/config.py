"""Settings of a shared and a personal low-rank adaptation, fused."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from fl.methods.options import MethodOptions
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class FdloraConfig(MethodOptions):
    """One LoRA that travels, one that stays, and two weights that fuse them at each client."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of both updates of the query and value projections, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the updates: each enters as ``alpha / rank``."""
    sync_every: Annotated[int, Gt(0)] = 5
    """Aggregations after which the personal update is replaced by the one just trained."""
    outer_learning_rate: Annotated[float, Gt(0)] = 1.0
    """Length of the server's step."""
    outer_momentum: Annotated[float, Ge(0), Lt(1)] = 0.5
    """Nesterov momentum of the server's step; 0 and a length of 1 are plain averaging."""
    fusion_evaluations: Annotated[int, Ge(4)] = 5
    """Pairs of fusion weights that a client tries after each training; the first is (0, 0), the
    fourth at the latest weighs the personal update: with fewer it may have no use."""
    fusion_batches: Annotated[int, Gt(0)] = 2
    """Batches of held-out texts, at most, that a client tries each pair on; they are a tenth of its
    shard or fewer."""
    fusion_penalty: Annotated[float, Ge(0)] = 0.05
    """Weight of the mean absolute fusion weight beside the loss, in the search."""
    kind: Literal["fdlora"] = "fdlora"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def has_text_gradients(self) -> bool:
        """Whether jobs read texts by gradients alone: no, fusion weights are searched on some."""
        return False

    @property
    def averages_factors(self) -> bool:
        """Whether factors are averaged one by one: ``A`` and ``B`` are."""
        return True
