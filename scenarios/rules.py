"""Every rule across sections, gathered from the packages that own them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Protocol

import fl.clients.config
import fl.data.config
import fl.models.config
import fl.rewards.config
import fl.server.faults
import fl.server.rules
import fl.server.timing_only
import fl.training.config
from fl.data.config import SampledPartition
from fl.methods import MethodConfig
from fl.metrics import METRICS
from fl.policies import POLICIES
from fl.rewards.config import RewardsConfig
from fl.server.config import measured
from netsim.config.world import StaticMobility, TraceMobility
from netsim.world.layout import build_layout
from netsim.world.mobility.trace_checks import find_trace_faults
from scenarios.network import cellular_sections, find_section_problems
from scenarios.network import find_problems as find_network_problems
from scenarios.schema import Scenario


class BrokenRule(Protocol):
    """The shape that both worlds give a problem."""

    @property
    def path(self) -> tuple[str, ...]:
        """Place in the scenario."""

    @property
    def message(self) -> str:
        """Rule, value found, and what would be right."""


MAX_THREADS = 256
"""Most threads of torch in a process: beyond any machine's use, and the same bound on every one."""


MAX_WHOLE = 1_000_000_000
"""Largest whole number of any setting but a seed: more is a slip, and some are sizes of memory."""
MAX_WHOLE_OF = {
    "num_clients": 1_000_000,
    "batch_size": 65_536,
    "evaluation_batch_size": 65_536,
    "max_tokens": 1_000_000,
    "num_rounds": 1_000_000,
    "rank": 65_536,
    "min_rank": 65_536,
    "adapter_dim": 65_536,
    "projection_dim": 65_536,
    "num_virtual_tokens": 65_536,
    "max_experts": 65_536,
    "num_domain_experts": 65_536,
    "num_elements": 65_536,
}
"""The same for settings, by name, that memory or time grow with."""
MAX_CLIENTS_OF = {"cellular": 100_000, "trace": 100_000}
"""Most clients by kind of network, where each has a link of its own to be followed."""


@dataclass(frozen=True, slots=True)
class _Rule:
    path: tuple[str, ...]
    message: str


def find_problems(scenario: Scenario, *, study_methods: Sequence[MethodConfig]) -> list[BrokenRule]:
    """Find every broken rule that needs more than one key to be seen; nothing is loaded.

    Parameters
    ----------
    scenario
        One variant: a scenario with one method and no matrix.
    study_methods
        All methods of the study that it belongs to.
    """
    if sizes := _sizes(scenario) or [*_clients(scenario)]:
        return sizes  # other rules compute with them
    if sections := find_section_problems(scenario):
        return list(sections)
    num_clients = scenario.clients.num_clients
    found: list[BrokenRule] = [
        *_seeds(scenario.seeds),
        *find_network_problems(scenario),
        *_trace(scenario),
        *_places(scenario),
        *fl.clients.config.find_problems(scenario.clients),
        *fl.data.config.find_problems(scenario.data, num_clients=num_clients),
        *fl.models.config.find_problems(scenario.model, task=scenario.data.task),
        *fl.training.config.find_problems(
            scenario.training, methods=study_methods, num_rounds=scenario.server.num_rounds
        ),
        *_threads(scenario.training.threads),
        *fl.server.rules.find_problems(
            scenario.server,
            num_clients=num_clients,
            methods=study_methods,
            task=scenario.data.task,
        ),
        *_timing_only(scenario),
        *_batteries(scenario),
        *fl.server.faults.find_problems(scenario.faults),
        *_rewards(scenario, study_methods),
        *_pairs(scenario, study_methods),
        *_steps(scenario),
        *_methods(scenario),
    ]
    return found


def _sizes(scenario: Scenario) -> list[BrokenRule]:
    """Find whole numbers that no machine can follow; those of a user's own class are its own."""
    sections = {
        item.name: getattr(scenario, item.name) for item in fields(scenario) if item.name != "seeds"
    }
    return [
        _Rule(path, f"must be <= {most}, got {value}")
        for path, value in _whole_numbers(sections, ())
        if "settings" not in path and value > (most := MAX_WHOLE_OF.get(path[-1], MAX_WHOLE))
    ]


def _whole_numbers(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Return every whole number of a tree of settings with its path."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield path, value
    elif is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from _whole_numbers(getattr(value, item.name), (*path, item.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _whole_numbers(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _whole_numbers(item, (*path, str(index)))


def _clients(scenario: Scenario) -> Iterator[BrokenRule]:
    """Find more clients than a kind of network can follow."""
    kind, num_clients = scenario.network.kind, scenario.clients.num_clients
    most = MAX_CLIENTS_OF.get(kind)
    if most is not None and num_clients > most:
        rule = f"must be <= {most} with network.kind {kind}, got {num_clients}"
        yield _Rule(("clients", "num_clients"), rule)


def _timing_only(scenario: Scenario) -> list[BrokenRule]:
    """Ask what needs training where there is none, and the other way round."""
    if scenario.training.mode == "train":
        if not isinstance(scenario.data.partition, SampledPartition):
            return []
        rule = "sampled needs training.mode none: clients would train on texts that others test on"
        return [_Rule(("data", "partition", "kind"), rule)]
    return [*fl.server.timing_only.find_problems(scenario.server, methods=scenario.methods)]


def _batteries(scenario: Scenario) -> Iterator[BrokenRule]:
    """Find a policy that goes by batteries where clients have none."""
    kind = scenario.server.policy.kind
    if kind in POLICIES and POLICIES[kind].uses_batteries and scenario.clients.battery is None:
        rule = f"{kind} has no effect without clients.battery: no battery runs out"
        yield _Rule(("server", "policy", "kind"), rule)


def _rewards(scenario: Scenario, study_methods: Sequence[MethodConfig]) -> list[BrokenRule]:
    """Find rewards that are needed and not given, or given and not needed."""
    config = scenario.rewards
    metrics = [METRICS[name] for name in measured_of(scenario) if name in METRICS]
    is_measured = any(metric.needs_rewards for metric in metrics)
    if config is not None:
        if is_measured or any(method.uses_rewards for method in study_methods):
            num_clients = scenario.clients.num_clients
            found = fl.rewards.config.find_problems(config, num_clients=num_clients)
            return [*found, *_independent_reward(config, measured_of(scenario))]
        rule = "has no effect: no method learns from rewards, no metric is of them; leave it out"
        return [_Rule(("rewards",), rule)]
    rule = "missing; it is required (a mapping of keys to values) by "
    needing = [method.kind for method in scenario.methods if method.uses_rewards]
    if needing:
        return [_Rule(("rewards",), rule + needing[0])]
    return [_Rule(("rewards",), f"{rule}metrics of rewards")] if is_measured else []


def _independent_reward(config: RewardsConfig, measured: Sequence[str]) -> Iterator[BrokenRule]:
    """Find a reward that is to be measured and is not given, or given and not measured."""
    is_measured = "independent_reward" in measured
    if is_measured and config.independent is None:
        yield _Rule(("rewards", "independent"), "missing; the metric independent_reward is of it")
    if config.independent is not None and not is_measured:
        rule = "has no effect: server.metrics has no independent_reward; add it or leave this out"
        yield _Rule(("rewards", "independent"), rule)


def _steps(scenario: Scenario) -> Iterator[BrokenRule]:
    """Find steps of jobs that do not suit the method of a variant."""
    num_steps = scenario.training.local_steps
    for index, method in enumerate(scenario.methods):
        yield from fl.training.config.find_unsuited(scenario.training, method=method)
        if method.normalises_steps and num_steps is not None:
            rule = f"has no effect: every job makes training.local_steps = {num_steps} steps"
            rule += "; local_epochs makes them differ, got true"
            yield _Rule(("methods", str(index), "normalise_steps"), rule)


def _pairs(scenario: Scenario, study_methods: Sequence[MethodConfig]) -> Iterator[BrokenRule]:
    """Find rejected answers that are needed and not given, or given and not needed."""
    rejected = scenario.data.rejected
    if rejected is None:
        for method in scenario.methods:
            if method.uses_pairs:
                rule = f"missing; {method.kind} learns from answers and rejected ones"
                yield _Rule(("data", "rejected"), rule)
    elif not any(method.uses_pairs for method in study_methods):
        rule = f"has no effect: no method learns from pairs, got {rejected!r}; leave it out"
        yield _Rule(("data", "rejected"), rule)


def measured_of(scenario: Scenario) -> Sequence[str]:
    """Name what a scenario measures; nothing where nothing is trained."""
    if scenario.training.mode == "none":
        return ()
    return measured(scenario.server, scenario.data.task)


def _methods(scenario: Scenario) -> list[BrokenRule]:
    """Ask each method what its settings need of clients and task."""
    return [
        _Rule(("methods", str(index), *path), message)
        for index, method in enumerate(scenario.methods)
        for path, message in method.find_problems(
            num_clients=scenario.clients.num_clients, task=scenario.data.task
        )
    ]


def _trace(scenario: Scenario) -> list[BrokenRule]:
    """Read a mobility trace: only here are both its area and the number of clients known."""
    sections = cellular_sections(scenario)
    mobility = None if sections is None else sections.world.mobility
    if (
        sections is None
        or not isinstance(mobility, TraceMobility)
        or not Path(mobility.path).is_file()
    ):
        return []
    faults = find_trace_faults(
        mobility.path,
        area=build_layout(sections.world.layout).area,
        num_clients=scenario.clients.num_clients,
    )
    return [_Rule(("world", "mobility", "path"), fault) for fault in faults]


def _places(scenario: Scenario) -> list[BrokenRule]:
    """Compare the places of static clients with the number of clients."""
    sections = cellular_sections(scenario)
    mobility = None if sections is None else sections.world.mobility
    if not isinstance(mobility, StaticMobility) or mobility.positions_m is None:
        return []
    num_places, num_clients = len(mobility.positions_m), scenario.clients.num_clients
    if num_places >= num_clients:  # More are no fault: a matrix may vary the number of clients.
        return []
    rule = f"must have a place for each of clients.num_clients = {num_clients}, got {num_places}"
    return [_Rule(("world", "mobility", "positions_m"), rule)]


def _threads(threads: int) -> list[BrokenRule]:
    """Refuse more threads than any machine starts in good time."""
    if threads <= MAX_THREADS:
        return []
    return [_Rule(("training", "threads"), f"must be <= {MAX_THREADS}, got {threads}")]


def _seeds(seeds: Sequence[int]) -> list[BrokenRule]:
    repeated = sorted(seed for seed, count in Counter(seeds).items() if count > 1)
    return [_Rule(("seeds",), f"must differ, got {seed} more than once") for seed in repeated]
