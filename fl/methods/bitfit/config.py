"""Settings of BitFit."""

from dataclasses import dataclass
from typing import Literal

from fl.methods.options import AveragingOptions


@dataclass(frozen=True, kw_only=True)
class BitfitConfig(AveragingOptions):
    """All biases of the backbone and the head are trained and averaged, nothing is added."""

    kind: Literal["bitfit"] = "bitfit"
