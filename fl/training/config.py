"""Settings of local training, the same for every method of a study."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from fl.problems import Problem


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How one client turns its shard into an update: AdamW, fresh in every job."""

    local_steps: Annotated[int, Gt(0)] | None = None
    """Optimiser steps a job. Either this or ``local_epochs``."""
    local_epochs: Annotated[int, Gt(0)] | None = None
    """Passes over the client's shard a job. Either this or ``local_steps``."""
    batch_size: Annotated[int, Gt(0)] = 16
    """Texts a step; a smaller shard makes smaller batches."""
    learning_rate: Annotated[float, Ge(0)] = 1e-3
    """Step size; 0 is allowed and leaves every tensor as it was."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """Decoupled weight decay of the trained tensors, per step and unit of learning rate."""
    max_gradient_norm: Annotated[float, Gt(0)] | None = None
    """Clip the norm of all gradients together to this; no clipping when empty."""
    evaluation_batch_size: Annotated[int, Gt(0)] = 64
    """Texts a batch when models are evaluated."""
    threads: Annotated[int, Gt(0)] = 1
    """Threads of torch in each process; part of the scenario, for it changes the last bits."""


def find_problems(
    config: TrainingConfig, *, path: tuple[str, ...] = ("training",)
) -> list[Problem]:
    """Find broken rules between the settings of local training."""
    given = [config.local_steps is not None, config.local_epochs is not None]
    if sum(given) == 1:
        return []
    found = "both" if all(given) else "neither"
    return [Problem(path, f"give exactly one of local_steps and local_epochs, got {found}")]
