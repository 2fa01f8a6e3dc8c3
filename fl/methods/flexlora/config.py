"""Settings of low-rank adaptation that is averaged as products."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import MethodOptions
from fl.methods.ranks import Ranks, distinct_ranks, find_rank_problems
from fl.metrics import Task
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class FlexloraConfig(MethodOptions):
    """Low-rank adaptations whose products are averaged and decomposed to each client's rank."""

    rank: Ranks = 8
    """Rank of a client's update of the query and value projections; a list is dealt to clients in
    turn."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha`` by the largest rank, at every client."""
    kind: Literal["flexlora"] = "flexlora"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def same_download(self) -> bool:
        """Where all clients have one rank."""
        return len(distinct_ranks(self.rank)) == 1

    @property
    def can_average_products(self) -> bool:
        """Whether products can be averaged: they always are."""
        return True

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Refuse more ranks than clients."""
        return find_rank_problems(self.rank, num_clients=num_clients)
