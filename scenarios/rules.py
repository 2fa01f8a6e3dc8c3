"""Every rule across sections, gathered from the packages that own them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import fl.clients.devices
import fl.data.config
import fl.models.config
import fl.server.config
import fl.training.config
import netsim.checks.rules
from fl.methods import MethodConfig
from netsim.config.world import StaticMobility, TraceMobility
from netsim.world.layout import build_layout
from netsim.world.mobility.trace import find_trace_faults
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
    num_clients = scenario.clients.num_clients
    found: list[BrokenRule] = [
        *_seeds(scenario.seeds),
        *netsim.checks.rules.find_problems(scenario.world, scenario.radio),
        *_trace(scenario),
        *_places(scenario),
        *fl.clients.devices.find_problems(scenario.clients),
        *fl.data.config.find_problems(scenario.data, num_clients=num_clients),
        *fl.models.config.find_problems(scenario.model, task=scenario.data.task),
        *fl.training.config.find_problems(scenario.training, methods=study_methods),
        *_threads(scenario.training.threads),
        *fl.server.config.find_problems(
            scenario.server,
            num_clients=num_clients,
            methods=study_methods,
            task=scenario.data.task,
        ),
        *_methods(scenario),
    ]
    return found


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
    mobility = scenario.world.mobility
    if not isinstance(mobility, TraceMobility) or not Path(mobility.path).is_file():
        return []
    faults = find_trace_faults(
        mobility.path,
        area=build_layout(scenario.world.layout).area,
        num_clients=scenario.clients.num_clients,
    )
    return [_Rule(("world", "mobility", "path"), fault) for fault in faults]


def _places(scenario: Scenario) -> list[BrokenRule]:
    """Compare the places of static clients with the number of clients."""
    mobility = scenario.world.mobility
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
    repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    return [_Rule(("seeds",), f"must differ, got {seed} more than once") for seed in repeated]
