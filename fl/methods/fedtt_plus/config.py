"""Settings of federated tensor-train adapters of which most factors are frozen."""

from dataclasses import dataclass
from typing import Literal

from fl.methods.fedtt.config import TensorTrainOptions


@dataclass(frozen=True, kw_only=True)
class FedttPlusConfig(TensorTrainOptions):
    """Tensor-train adapters and head; only some factors of every train are trained at a time."""

    factors: Literal["ends_and_one", "single"] = "ends_and_one"
    """Factors of a train of ``J`` that are trained at turn ``t`` (the server's version plus 1),
    counted from 1: ``1``, ``J`` and ``2 + (t mod (J - 2))``; or ``1 + (t mod J)`` alone, which
    makes averaging exact."""
    kind: Literal["fedtt_plus"] = "fedtt_plus"

    @property
    def same_download(self) -> bool:
        """Whether all clients of a round get the same bytes: each gets what it lacks."""
        return False

    @property
    def takes_turns(self) -> bool:
        """Whether versions train different tensors: some factors of each train in turn."""
        return True
