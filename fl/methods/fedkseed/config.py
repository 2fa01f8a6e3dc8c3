"""Settings of federated zeroth-order training with a fixed number of seeds."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, Self

from annotated_types import Gt

from fl.methods.options import MethodOptions


@dataclass(frozen=True, kw_only=True)
class MoveAll:
    """Every weight of the model is moved."""

    kind: Literal["all"] = "all"
    """Name of this choice."""


@dataclass(frozen=True, kw_only=True)
class MoveLora:
    """A low-rank adaptation of query and value projections, and the head, are moved."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of the update, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    kind: Literal["lora"] = "lora"
    """Name of this choice."""


@dataclass(frozen=True, kw_only=True)
class FedkseedConfig(MethodOptions):
    """Clients measure the loss along random directions, and send indices and step lengths."""

    num_seeds: Annotated[int, Gt(0)] = 4_096
    """Directions that there are: ``K`` of the paper."""
    num_steps: Annotated[int, Gt(0)] = 200
    """Steps of a job, two forward passes each; they stand in place of those of ``training``."""
    epsilon: Annotated[float, Gt(0)] = 5e-4
    """How far on each side of the weights the loss is measured, in units of the direction."""
    sampling: Literal["uniform", "by_slope"] = "uniform"
    """Which directions clients draw: all alike, or rather those along which steps were long."""
    moves: MoveAll | MoveLora = field(default_factory=MoveAll)
    """What is trained."""
    kind: Literal["fedkseed"] = "fedkseed"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it."""
        return ("targets", "rank_stabilised") if isinstance(self.moves, MoveLora) else ()

    @property
    def takes_gradient_steps(self) -> bool:
        """Whether jobs take steps of an optimiser along gradients: no, along directions."""
        return False

    def for_trial(self) -> Self:
        """Return settings for a job of one step."""
        return replace(self, num_steps=1)
