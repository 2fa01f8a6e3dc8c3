"""Settings of federated direct preference optimisation."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.metrics import Task


@dataclass(frozen=True, kw_only=True)
class FeddpoConfig(AveragingOptions):
    """One low-rank adaptation learns from pairs of answers and is averaged over clients."""

    rank: Annotated[int, Gt(0)] = 8
    """Rank of the update of the query and value projections, the same at every client."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha / rank``."""
    kl_weight: Annotated[float, Gt(0)] = 0.1
    """Weight of staying near the reference, the model as it was loaded: ``beta`` of the paper."""
    kind: Literal["feddpo"] = "feddpo"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it."""
        return ("targets", "rank_stabilised")

    @property
    def averages_factors(self) -> bool:
        """Whether factors are averaged one by one: ``A`` and ``B`` are."""
        return True

    @property
    def can_average_products(self) -> bool:
        """Whether products can be averaged in place of factors: yes."""
        return True

    @property
    def uses_pairs(self) -> bool:
        """Whether it needs pairs of answers: yes."""
        return True

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Refuse texts that are classified."""
        if task == "generation":
            return ()
        rule = f"needs texts that are written (a response, or data.task generation), got {task}"
        return [(("kind",), rule)]
