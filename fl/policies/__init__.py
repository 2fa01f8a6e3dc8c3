"""Client selection: which clients take part in a round. One table, one entry a policy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fl.policies import knapsack, oort, power_of_choice, tifl
from fl.policies.age_of_update import AgeOfUpdatePolicy, AgeOfUpdatePolicyConfig
from fl.policies.all import AllPolicy, AllPolicyConfig
from fl.policies.best_channel import BestChannelPolicy, BestChannelPolicyConfig
from fl.policies.energy_floor import EnergyFloorPolicy, EnergyFloorPolicyConfig
from fl.policies.equal_finish import EqualFinishPolicy, EqualFinishPolicyConfig
from fl.policies.fedcs import FedCsPolicy, FedCsPolicyConfig
from fl.policies.knapsack import KnapsackPolicy, KnapsackPolicyConfig
from fl.policies.lyapunov import LyapunovPolicy, LyapunovPolicyConfig
from fl.policies.oort import OortPolicy, OortPolicyConfig
from fl.policies.own import OwnPolicyConfig, own_asks, own_policy
from fl.policies.poisson import PoissonPolicy, PoissonPolicyConfig
from fl.policies.power_of_choice import PowerOfChoicePolicy, PowerOfChoicePolicyConfig
from fl.policies.proportional_fair import (
    ProportionalFairPolicy,
    ProportionalFairPolicyConfig,
)
from fl.policies.random import RandomPolicy, RandomPolicyConfig
from fl.policies.round_robin import RoundRobinPolicy, RoundRobinPolicyConfig
from fl.policies.tifl import TiflPolicyConfig
from fl.policies.view import Policy
from fl.problems import Problem

PolicyConfig = (
    RandomPolicyConfig
    | PoissonPolicyConfig
    | AllPolicyConfig
    | RoundRobinPolicyConfig
    | BestChannelPolicyConfig
    | ProportionalFairPolicyConfig
    | FedCsPolicyConfig
    | EqualFinishPolicyConfig
    | OortPolicyConfig
    | TiflPolicyConfig
    | PowerOfChoicePolicyConfig
    | AgeOfUpdatePolicyConfig
    | LyapunovPolicyConfig
    | EnergyFloorPolicyConfig
    | KnapsackPolicyConfig
    | OwnPolicyConfig
)


def _no_problems(config: object) -> Iterator[tuple[str, str]]:
    del config
    return iter(())


def _never(config: object) -> bool:
    del config
    return False


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
    asks: Callable[[Any], bool] = _never
    """Whether it asks clients for their losses before it selects, from its settings."""
    uses_batteries: bool = False
    """Whether it looks at batteries, which clients have only where the scenario sets them."""
    find_problems: Callable[[Any], Iterator[tuple[str, str]]] = _no_problems
    """Find settings that do not go together: key, and rule with the value found."""


POLICIES: dict[str, PolicyEntry] = {
    "random": PolicyEntry(
        config=RandomPolicyConfig,
        build=RandomPolicy,
        summary="uniformly at random",
        source="arXiv:1602.05629",
    ),
    "poisson": PolicyEntry(
        config=PoissonPolicyConfig,
        build=PoissonPolicy,
        summary="each client by a draw of its own, with one probability",
        source="arXiv:1710.06963",
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
    "equal_finish": PolicyEntry(
        config=EqualFinishPolicyConfig,
        build=EqualFinishPolicy,
        summary="received together soonest, if the band is shared for an equal finish",
        source="greedy selection of arXiv:2007.07174",
    ),
    "oort": PolicyEntry(
        config=OortPolicyConfig,
        build=OortPolicy,
        summary="high loss on many texts, fast enough; some that are unknown",
        source="arXiv:2010.06081, as coded in FedScale",
        reads_loss=True,
        find_problems=oort.find_problems,
    ),
    "tifl": PolicyEntry(
        config=TiflPolicyConfig,
        build=tifl.build,
        summary="one tier of speed at a time, at random in it",
        source="arXiv:2001.09249; chances by rank as coded in bacox/fltk",
        asks=tifl.asks,
        find_problems=tifl.find_problems,
    ),
    "power_of_choice": PolicyEntry(
        config=PowerOfChoicePolicyConfig,
        build=PowerOfChoicePolicy,
        summary="highest losses among clients that are drawn and asked",
        source="arXiv:2010.01243",
        reads_loss=True,
        asks=power_of_choice.asks,
        find_problems=power_of_choice.find_problems,
    ),
    "age_of_update": PolicyEntry(
        config=AgeOfUpdatePolicyConfig,
        build=AgeOfUpdatePolicy,
        summary="oldest last update for the airtime of a new one",
        source="after arXiv:1910.14648",
    ),
    "lyapunov": PolicyEntry(
        config=LyapunovPolicyConfig,
        build=LyapunovPolicy,
        summary="within a mean energy a round of each client, by virtual queues",
        source="after arXiv:2004.04314",
    ),
    "energy_floor": PolicyEntry(
        config=EnergyFloorPolicyConfig,
        build=EnergyFloorPolicy,
        summary="at random by charge, nobody below a floor",
        source="our choice",
        uses_batteries=True,
    ),
    "knapsack": PolicyEntry(
        config=KnapsackPolicyConfig,
        build=KnapsackPolicy,
        summary="most training texts within a budget of joules or airtime",
        source="0-1 knapsack",
        find_problems=knapsack.find_problems,
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


def asks_clients(config: PolicyConfig) -> bool:
    """Return whether a policy asks clients for their losses before it selects.

    Raises
    ------
    fl.problems.OwnCodeError
        If a class of the user's own cannot be used.
    """
    if isinstance(config, OwnPolicyConfig):
        return own_asks(config)
    return POLICIES[config.kind].asks(config)


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
    entry = POLICIES.get(config.kind)
    if entry is not None:
        problems += [Problem((*path, key), rule) for key, rule in entry.find_problems(config)]
    return problems
