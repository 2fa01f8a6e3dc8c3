"""Settings of the server: when it aggregates, whom it asks, when it stops."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Gt, Le

from fl import policies
from fl.methods import MethodConfig
from fl.policies import PolicyConfig
from fl.problems import Problem

METRICS = ("accuracy",)
"""Metrics that a target may name."""


@dataclass(frozen=True, kw_only=True)
class SyncServer:
    """Rounds: select, send, wait for every selected client, aggregate."""

    num_rounds: Annotated[int, Gt(0)]
    """Rounds at most."""
    policy: PolicyConfig
    """Who takes part."""
    targets: dict[str, Annotated[float, Gt(0), Le(1)]] = field(default_factory=dict)
    """Value of each metric that counts as reached."""
    target_split: Literal["personal", "global"] = "personal"
    """Which evaluation the targets are read from; every method has the personal one."""
    stop_at_targets: bool = False
    """End the run at the first evaluation that reaches all targets, that of the start included."""
    evaluate_every: Annotated[int, Gt(0)] = 1
    """Rounds between evaluations; the start and the last round are always evaluated."""
    round_timeout_s: Annotated[float, Gt(0)] | None = None
    """Simulated seconds after which a round takes what has arrived; it waits without end when
    empty."""
    downlink: Literal["unicast", "broadcast"] = "unicast"
    """Whether clients of a round get the model one by one or in one transmission."""
    mode: Literal["sync"] = "sync"


ServerConfig = SyncServer


def find_problems(
    config: ServerConfig,
    *,
    num_clients: int,
    methods: Sequence[MethodConfig],
    path: tuple[str, ...] = ("server",),
) -> list[Problem]:
    """Find broken rules between the settings of the server and the rest of the scenario.

    Parameters
    ----------
    config
        Settings of the server.
    num_clients
        Clients of the scenario.
    methods
        All methods of the study, at least one. A global target needs one with a global model, a
        broadcast one that sends.
    path
        Where the section stands.
    """
    problems = policies.find_problems(
        config.policy, num_clients=num_clients, path=(*path, "policy")
    )
    for name in config.targets:
        if name not in METRICS:
            rule = f"must be one of {', '.join(METRICS)}, got {name}"
            problems.append(Problem((*path, "targets", name), rule))
    if config.stop_at_targets and not config.targets:
        rule = "has no effect without server.targets, got true"
        problems.append(Problem((*path, "stop_at_targets"), rule))
    if config.target_split == "global" and not config.targets:
        rule = "has no effect without server.targets, got global"
        problems.append(Problem((*path, "target_split"), rule))
    if config.target_split == "global" and not any(each.has_global_model for each in methods):
        kinds = ", ".join(method.kind for method in methods)
        rule = f"must be personal: no global model in {kinds}; got global"
        problems.append(Problem((*path, "target_split"), rule))
    if config.downlink == "broadcast" and not any(each.sends for each in methods):
        kinds = ", ".join(method.kind for method in methods)
        rule = f"has no effect: nothing is sent by {kinds}; got broadcast"
        problems.append(Problem((*path, "downlink"), rule))
    if config.evaluate_every > config.num_rounds:
        rule = f"must be <= num_rounds = {config.num_rounds}, got {config.evaluate_every}"
        problems.append(Problem((*path, "evaluate_every"), rule))
    return problems
