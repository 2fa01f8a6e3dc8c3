"""What the jobs of a method optimise, as plain settings; no torch here.

:func:`fl.execution.procedures.procedure_of` makes the procedure of it that plans and runs jobs.
"""

from dataclasses import dataclass
from typing import TypeAlias

from fl.training.policy_settings import PolicySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLoss:
    """The loss of the task: cross-entropy of classes, or of the tokens of answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitLoss:
    """The loss of the task, by a model whose lower blocks are the client's, the rest the server's.

    In every step what comes out of the lower blocks goes up, and its gradient comes down.
    """

    cut_layer: int
    """Blocks of the client, >= 1."""
    number_bytes: int = 4
    """Bytes of each number that crosses the cut."""
    server_flop_per_s: float | None = None
    """Operations a second of the server for each client; ``None``: it takes no time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReward:
    """The reward of answers that the model writes itself."""

    policy: PolicySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencePairs:
    """That an answer of a client's data becomes more likely than the rejected one beside it."""

    kl_weight: float
    """Weight of staying near the reference, > 0."""
    num_steps: int | None = None
    """Optimiser steps of a job; those of ``training`` when ``None``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZerothOrder:
    """The loss of the task by forward passes alone, along directions of a fixed number."""

    seed: int
    """Addresses the directions, with their index; the same for all."""
    num_seeds: int
    """Directions that there are."""
    num_steps: int
    """Steps of a job."""
    epsilon: float
    """How far on each side of the weights the loss is measured, in units of the direction."""


SingleObjective: TypeAlias = TaskLoss | SplitLoss | PolicyReward | PreferencePairs | ZerothOrder
"""An objective of all steps of a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """One objective after the other within each job."""

    first: SingleObjective
    """Trains all that the job trains."""
    second: SingleObjective
    """Begins where the first ended."""
    second_trained: tuple[str, ...]
    """Ends of the names of what the second trains, out of what the job trains."""


Objective: TypeAlias = SingleObjective | Phases
"""Any objective of a job."""

TASK_LOSS = TaskLoss()
"""What all methods minimise that do not say otherwise."""
