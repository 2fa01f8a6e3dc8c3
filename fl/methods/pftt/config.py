"""Settings of shared adapters with personal LoRA."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.methods.ranks import Ranks, distinct_ranks, find_rank_problems
from fl.metrics import Task
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class PfttConfig(AveragingOptions):
    """Bottleneck adapters that travel, low-rank adaptations that stay."""

    adapter_dim: Annotated[int, Gt(0)] = 8
    """Width of the bottleneck of each adapter; the payload grows in proportion."""
    rank: Ranks = 8
    """Rank of the personal update of the query and value projections; a list is dealt to clients in
    turn."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the personal update: it enters as ``alpha / rank``."""
    head: Literal["personal", "shared"] = "personal"
    """Whether the classification head stays with the client or is averaged with the adapters."""
    lora: Literal["personal", "shared"] = "personal"
    """Whether LoRA stays with the client, as the method has it, or is averaged too: the rival in
    which everything is shared."""
    kind: Literal["pftt"] = "pftt"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def has_global_model(self) -> bool:
        """Whether the server holds a whole model, head included."""
        return self.head == "shared"

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Refuse a shared head where models have none, and shared LoRA of several ranks."""
        problems = []
        if task == "generation" and self.head == "shared":
            rule = "has no effect: language models have no head of their own, got shared"
            problems.append((("head",), rule))
        ranks = distinct_ranks(self.rank)
        if self.lora == "shared" and len(ranks) > 1:
            rule = f"must be one for all clients where lora is shared, got {list(ranks)}"
            problems.append((("rank",), rule))
        return [*problems, *find_rank_problems(self.rank, num_clients=num_clients)]
