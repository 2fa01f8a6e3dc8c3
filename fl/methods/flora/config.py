"""Settings of stacked low-rank adaptation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import MethodOptions
from fl.methods.ranks import Ranks, find_rank_problems
from fl.metrics import Task
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class FloraConfig(MethodOptions):
    """Low-rank adaptations that the server stacks, and everyone merges into the weights."""

    rank: Ranks = 8
    """Rank of a client's update of the query and value projections; a list is dealt to clients in
    turn."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha`` by the largest rank, at every client."""
    kind: Literal["flora"] = "flora"

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

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Refuse more ranks than clients."""
        return find_rank_problems(self.rank, num_clients=num_clients)
