"""Settings of federated tensor-train adapters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.metrics import Task


@dataclass(frozen=True, kw_only=True)
class TensorTrainOptions(AveragingOptions):
    """Which tensor trains are put into the model."""

    rank: Annotated[int, Gt(0)] = 5
    """Inner rank of every train; its numbers grow with the square."""
    adapter_dim: Annotated[int, Gt(0)] | None = None
    """Width of the adapters' bottleneck; when empty 64, or half the width of the model where that
    is less."""
    after: Literal["both", "attention", "mlp"] = "both"
    """Behind which projections of a block adapters go."""
    classifier: Literal["tensor_train", "linear"] | None = None
    """``tensor_train``: a square train and tanh before the linear head; ``linear``: the linear head
    alone. When empty ``tensor_train``; a model without a head takes neither."""

    start: Literal["noise", "identity"] = "noise"
    """First values of the adapters: small noise, as in LoRETTA; or the last factor of ``TT_up`` and
    its bias 0, so that a fresh adapter changes nothing."""
    freeze_biases: bool = False
    """Whether the biases of the trains stay at their first values, and are never sent."""

    @property
    def is_identity_at_start(self) -> bool:
        """Whether fresh trains change nothing; one before the head always does."""
        return self.start == "identity" and self.classifier == "linear"

    @property
    def averages_factors(self) -> bool:
        """Whether factors are averaged one by one: those of each tensor train are."""
        return True

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Find a kind of classifier where nothing is classified."""
        if self.classifier is None or task == "classification":
            return ()
        return [(("classifier",), f"must be empty where texts are written, got {self.classifier}")]


@dataclass(frozen=True, kw_only=True)
class FedttConfig(TensorTrainOptions):
    """Tensor-train adapters and head, every factor averaged over clients."""

    kind: Literal["fedtt"] = "fedtt"
