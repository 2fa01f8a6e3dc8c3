"""Settings of shared adapters with personal LoRA that is aligned to the client's rewards."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions
from fl.metrics import Task
from fl.training.policy_settings import PolicySettings


@dataclass(frozen=True, kw_only=True)
class PolicyAlignment:
    """Alignment by the rewards of what the model writes."""

    policy: PolicySettings = field(default_factory=PolicySettings)
    """How a job samples answers and learns from their rewards."""
    kind: Literal["policy"] = "policy"
    """Name of this way to align."""


@dataclass(frozen=True, kw_only=True)
class PairAlignment:
    """Alignment by the client's own pairs of answers: direct preference optimisation."""

    kl_weight: Annotated[float, Gt(0)] = 0.1
    """Weight of staying near the reference, the ``beta`` of direct preference optimisation."""
    num_steps: Annotated[int, Gt(0)] | None = None
    """Optimiser steps; those of ``training`` when empty."""
    kind: Literal["dpo"] = "dpo"
    """Name of this way to align."""


@dataclass(frozen=True, kw_only=True)
class PwffConfig(AveragingOptions):
    """Adapters that travel and LoRA that stays learn the task; then LoRA alone is aligned."""

    adapter_dim: Annotated[int, Gt(0)] = 8
    """Width of the bottleneck of each adapter; the payload grows in proportion."""
    rank: Annotated[int, Gt(0)] = 8
    """Rank of the personal update of the query and value projections."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the personal update: it enters as ``alpha / rank``."""
    alignment: PolicyAlignment | PairAlignment = field(default_factory=PolicyAlignment)
    """What LoRA is aligned by in the second phase of each job."""
    kind: Literal["pwff"] = "pwff"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it."""
        return ("targets", "rank_stabilised")

    @property
    def has_global_model(self) -> bool:
        """Whether the server holds a whole model: adapters beside untrained LoRA."""
        return True

    @property
    def uses_rewards(self) -> bool:
        """Whether it needs rewards."""
        return isinstance(self.alignment, PolicyAlignment)

    @property
    def uses_pairs(self) -> bool:
        """Whether it needs pairs of answers."""
        return isinstance(self.alignment, PairAlignment)

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Refuse texts that are classified, and settings of the policy that do not go together."""
        problems: list[tuple[tuple[str, ...], str]] = []
        if task != "generation":
            rule = f"needs texts that are written (a response, or data.task generation), got {task}"
            problems.append((("kind",), rule))
        if isinstance(self.alignment, PolicyAlignment):
            found = self.alignment.policy.find_problems()
            problems += [(("alignment", "policy", *path), rule) for path, rule in found]
        return problems
