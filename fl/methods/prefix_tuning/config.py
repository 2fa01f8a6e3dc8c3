"""Settings of federated prefix tuning."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions


@dataclass(frozen=True, kw_only=True)
class PrefixTuningConfig(AveragingOptions):
    """Learned keys and values in every attention layer and the head, averaged over clients."""

    num_virtual_tokens: Annotated[int, Gt(0)] = 16
    """Keys and values before those of the text, in each layer."""
    projection_dim: Annotated[int, Gt(0)] | None = None
    """Hidden width of a network that makes the prefixes and is trained and sent in their place;
    without one when empty."""
    kind: Literal["prefix_tuning"] = "prefix_tuning"

    @property
    def can_recompute(self) -> bool:
        """Whether blocks can be worked out again: no, prefixes are made once a pass."""
        return False

    @property
    def is_identity_at_start(self) -> bool:
        """Whether the model scores as before: no, what is put before a text is seen at once."""
        return False
