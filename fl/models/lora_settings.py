"""Settings that low-rank adaptations of all methods have in common; no torch here."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Lt, MinLen


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """Where low-rank adaptations go in a model, how they scale, and their dropout."""

    targets: (
        Literal["query-and-value", "query", "all-linear"]
        | Annotated[tuple[Annotated[str, MinLen(1)], ...], MinLen(1)]
    ) = "query-and-value"
    """Linear layers of the transformer's blocks that are adapted: the query and value projections,
    the query alone, all of them, or those whose names end so."""
    rank_stabilised: bool = False
    """Whether an update of rank ``r`` enters as ``alpha / sqrt(r)``, not ``alpha / r``, so that its
    size does not fall with the rank (rsLoRA)."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Part of the numbers that come into an adaptation (not the layer beside it) that is set to 0
    in each step of training."""


DEFAULT_LORA = LoraSettings()
"""What holds where nothing else is said."""
LORA_SETTINGS = frozenset({"targets", "rank_stabilised", "dropout"})
"""Names of all of them."""
