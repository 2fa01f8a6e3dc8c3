"""Settings of full fine-tuning."""

from dataclasses import dataclass
from typing import Literal

from fl.methods.options import AveragingOptions


@dataclass(frozen=True, kw_only=True)
class FullConfig(AveragingOptions):
    """Every weight of the model is trained and averaged."""

    kind: Literal["full"] = "full"
