"""Client selection: which clients take part in a round. One table, one line a policy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fl.policies.random import RandomPolicy, RandomPolicyConfig
from fl.policies.view import Policy
from fl.problems import Problem

PolicyConfig = RandomPolicyConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEntry:
    """One policy as the scenario and the command line see it."""

    config: type[Any]
    """Class of its settings."""
    build: Callable[[Any], Policy]
    """Give the policy for one run from its settings."""
    summary: str


POLICIES: dict[str, PolicyEntry] = {
    "random": PolicyEntry(
        config=RandomPolicyConfig, build=RandomPolicy, summary="uniformly at random"
    ),
}


def build_policy(config: PolicyConfig) -> Policy:
    """Give a fresh policy for one run.

    Raises
    ------
    ValueError
        If no policy has this kind.
    """
    entry = POLICIES.get(config.kind)
    if entry is None:
        msg = f"policy.kind: must be one of {', '.join(sorted(POLICIES))}, got {config.kind!r}"
        raise ValueError(msg)
    return entry.build(config)


def find_problems(
    config: PolicyConfig, *, num_clients: int, path: tuple[str, ...] = ("server", "policy")
) -> list[Problem]:
    """Find settings of a policy that the scenario's clients cannot satisfy."""
    if config.num_clients > num_clients:
        rule = f"must be <= clients.num_clients = {num_clients}, got {config.num_clients}"
        return [Problem((*path, "num_clients"), rule)]
    return []
