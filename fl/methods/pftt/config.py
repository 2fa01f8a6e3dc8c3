"""Settings of shared adapters with personal LoRA."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt


@dataclass(frozen=True, kw_only=True)
class PfttConfig:
    """Bottleneck adapters that travel, low-rank adaptations that stay."""

    adapter_dim: Annotated[int, Gt(0)] = 8
    """Width of the bottleneck of each adapter; the payload grows in proportion."""
    rank: Annotated[int, Gt(0)] = 8
    """Rank of the personal update of the query and value projections."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the personal update: it enters as ``alpha / rank``."""
    head: Literal["personal", "shared"] = "personal"
    """Whether the classification head stays with the client or is averaged with the adapters."""
    learning_rate: Annotated[float, Gt(0)] | None = None
    """Step size of this method alone; that of ``training`` when empty."""
    kind: Literal["pftt"] = "pftt"

    @property
    def sends(self) -> bool:
        """Whether anything crosses the link."""
        return True

    @property
    def has_global_model(self) -> bool:
        """Whether the server holds a whole model, head included."""
        return self.head == "shared"
