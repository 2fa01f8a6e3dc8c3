"""Client selection: which clients take part in a round. One table, one entry a policy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fl.policies.all import AllPolicy, AllPolicyConfig
from fl.policies.best_channel import BestChannelPolicy, BestChannelPolicyConfig
from fl.policies.fedcs import FedCsPolicy, FedCsPolicyConfig
from fl.policies.own import OwnPolicyConfig, own_policy
from fl.policies.proportional_fair import (
    ProportionalFairPolicy,
    ProportionalFairPolicyConfig,
)
from fl.policies.random import RandomPolicy, RandomPolicyConfig
from fl.policies.round_robin import RoundRobinPolicy, RoundRobinPolicyConfig
from fl.policies.view import Policy
from fl.problems import Problem

PolicyConfig = (
    RandomPolicyConfig
    | AllPolicyConfig
    | RoundRobinPolicyConfig
    | BestChannelPolicyConfig
    | ProportionalFairPolicyConfig
    | FedCsPolicyConfig
    | OwnPolicyConfig
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEntry:
    """One policy as the scenario and the command line see it."""

    config: type[Any]
    """Class of its settings."""
    build: Callable[[Any], Policy]
    """Return the policy for one run from its settings."""
    summary: str
    source: str
    """Where the policy comes from."""
    uses_signals: bool = False
    """Whether it looks at signal-to-noise ratios, which not every network knows."""
    reads_loss: bool = False
    """Whether it looks at losses, which there are only where something is trained."""


POLICIES: dict[str, PolicyEntry] = {
    "random": PolicyEntry(
        config=RandomPolicyConfig,
        build=RandomPolicy,
        summary="uniformly at random",
        source="arXiv:1602.05629",
    ),
    "all": PolicyEntry(
        config=AllPolicyConfig,
        build=AllPolicy,
        summary="every client in every round",
        source="reference point",
    ),
    "round_robin": PolicyEntry(
        config=RoundRobinPolicyConfig,
        build=RoundRobinPolicy,
        summary="in turn, longest unselected first",
        source="RR of arXiv:1908.06287",
    ),
    "best_channel": PolicyEntry(
        config=BestChannelPolicyConfig,
        build=BestChannelPolicy,
        summary="highest signal-to-noise ratio now",
        source="BC of Amiri et al. 2021",
        uses_signals=True,
    ),
    "proportional_fair": PolicyEntry(
        config=ProportionalFairPolicyConfig,
        build=ProportionalFairPolicy,
        summary="highest signal-to-noise ratio over its own average",
        source="PF of arXiv:1908.06287",
        uses_signals=True,
    ),
    "fedcs": PolicyEntry(
        config=FedCsPolicyConfig,
        build=FedCsPolicy,
        summary="as many as finish within a round",
        source="arXiv:1804.08333",
    ),
}


def build_policy(config: PolicyConfig) -> Policy:
    """Return a fresh policy for one run.

    Raises
    ------
    ValueError
        If no policy has this kind, or a class of the user's own cannot be used.
    """
    if isinstance(config, OwnPolicyConfig):
        return own_policy(config)
    entry = POLICIES.get(config.kind)
    if entry is None:
        msg = f"policy.kind: must be one of {', '.join(sorted(POLICIES))}, got {config.kind!r}"
        raise ValueError(msg)
    return entry.build(config)


def find_problems(
    config: PolicyConfig, *, num_clients: int, path: tuple[str, ...] = ("server", "policy")
) -> list[Problem]:
    """Find settings of a policy that the scenario's clients cannot satisfy."""
    problems = []
    for key in ("num_clients", "num_candidates"):
        asked = getattr(config, key, None) or 0
        if asked > num_clients:
            rule = f"must be <= clients.num_clients = {num_clients}, got {asked}"
            problems.append(Problem((*path, key), rule))
    return problems
