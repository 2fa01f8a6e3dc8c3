"""Settings of shared adapters with personal LoRA."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.methods.ranks import Ranks


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
    def has_global_model(self) -> bool:
        """Whether the server holds a whole model, head included."""
        return self.head == "shared"
