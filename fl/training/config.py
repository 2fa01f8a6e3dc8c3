"""Settings of local training, the same for every method of a study."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from annotated_types import Ge, Gt

from fl.problems import Problem
from fl.training.rate_schedule import CONSTANT_RATE, RateSchedule


class HasLearningRate(Protocol):
    """What local training reads of a method's settings."""

    @property
    def kind(self) -> str:
        """Name of the method in the scenario."""

    @property
    def learning_rate(self) -> float | None:
        """Step size of this method alone; ``None``: that of the settings of local training."""


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
    rate_schedule: RateSchedule = CONSTANT_RATE
    """How the step size falls from one aggregation to the next."""
    warmup_rounds: Annotated[int, Ge(0)] = 0
    """Aggregations over which the step size rises in a straight line at the beginning."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """Decoupled weight decay of the trained tensors, per step and unit of learning rate."""
    max_gradient_norm: Annotated[float, Gt(0)] | None = None
    """Clip the norm of all gradients together to this; no clipping when empty."""
    evaluation_batch_size: Annotated[int, Gt(0)] = 64
    """Texts a batch when models are evaluated."""
    threads: Annotated[int, Gt(0)] = 1
    """Threads of torch in each process; part of the scenario, for it changes the last bits."""
    mode: Literal["train", "none"] = "train"
    """``none``: bytes, seconds and joules alone, those of the run that trains. No job runs, nothing
    is evaluated, columns of losses are empty; the other settings stay as they are."""


def find_problems(
    config: TrainingConfig,
    *,
    methods: Sequence[HasLearningRate] = (),
    num_rounds: int | None = None,
    path: tuple[str, ...] = ("training",),
) -> list[Problem]:
    """Find broken rules between the settings of local training and the methods.

    Parameters
    ----------
    config
        Settings of local training.
    methods
        All methods of the study; where each sets its own learning rate, one here has no effect.
        A rate equal to the default cannot be told from one that is not given.
    num_rounds
        Aggregations of the run, where they are known.
    path
        Where the section stands.
    """
    problems = []
    given = [config.local_steps is not None, config.local_epochs is not None]
    if sum(given) != 1:
        found = "both" if all(given) else "neither"
        rule = f"give exactly one of local_steps and local_epochs, got {found}"
        problems.append(Problem(path, rule))
    is_given = config.learning_rate != TrainingConfig.learning_rate
    if is_given and methods and all(each.learning_rate is not None for each in methods):
        kinds = ", ".join(method.kind for method in methods)
        rule = f"has no effect: {kinds} set their own, got {config.learning_rate:g}"
        problems.append(Problem((*path, "learning_rate"), rule))
    if num_rounds is not None and config.warmup_rounds >= num_rounds:
        rule = f"must be < num_rounds = {num_rounds}, got {config.warmup_rounds}"
        problems.append(Problem((*path, "warmup_rounds"), rule))
    return problems
