"""Settings of federated prompt tuning."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions


@dataclass(frozen=True, kw_only=True)
class PromptTuningConfig(AveragingOptions):
    """Learned vectors before every text and the head, averaged over clients."""

    num_virtual_tokens: Annotated[int, Gt(0)] = 20
    """Vectors before the text; they take positions of the model away from it."""
    kind: Literal["prompt_tuning"] = "prompt_tuning"

    @property
    def extra_positions(self) -> int:
        """The virtual tokens stand in positions of the model."""
        return self.num_virtual_tokens

    @property
    def is_identity_at_start(self) -> bool:
        """Whether the model scores as before: no, what is put before a text is seen at once."""
        return False
