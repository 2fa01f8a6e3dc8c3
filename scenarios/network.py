"""The network of a scenario: which sections its kind uses, how it is made, which rows it leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import simpy

from fl.network import EnergyAccount, Network
from fl.policies import POLICIES
from netsim.access_networks import rules as rate_rules
from netsim.access_networks.build import build_rate_network
from netsim.checks import rules as cellular_rules
from netsim.checks.own_sites import find_form_problems
from netsim.checks.trial import try_network
from netsim.config import RadioConfig, WorldConfig
from netsim.config.network import CellularNetworkConfig
from netsim.config.radio import StarBackhaul
from netsim.config.sites import SitesLayout
from netsim.energy.totals import EnergyTotal
from netsim.engines.position_log import PositionRow
from netsim.network import CellularNetwork
from netsim.problems import Problem
from netsim.transport.transfers import TransferRow
from netsim.world.site_rows import CellRow, SiteRow
from scenarios.errors import ScenarioError
from scenarios.own_scheduler import own_scheduler
from scenarios.schema import RADIO_SECTIONS, Scenario, unused_section
from scenarios.site_file import problems_in_file, with_sites

PLACE_ROWS: dict[str, type] = {"sites": SiteRow, "cells": CellRow, "positions": PositionRow}
"""Files that only a network with places has, by name, with the type of their rows."""


class RunEnergy(EnergyAccount, Protocol):
    """The joules of a run as the federation and its files need them."""

    def totals(self, until_s: float) -> list[EnergyTotal]:
        """Return seconds and joules by owner and activity up to an instant."""


class RunNetwork(Network, Protocol):
    """A network as a run needs it: what the federation asks for, and rows."""

    @property
    def energy(self) -> RunEnergy:
        """The joules of this run."""

    def transfers(self) -> list[TransferRow]:
        """Return the rows of transfers that ended since the last call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellularSections:
    """The sections of a cellular network."""

    world: WorldConfig
    radio: RadioConfig


def is_cellular(scenario: Scenario) -> bool:
    """Whether the network has sites, cells and positions."""
    return isinstance(scenario.network, CellularNetworkConfig)


def cellular_sections(scenario: Scenario) -> CellularSections | None:
    """Return world and radio of a cellular network; ``None`` for the other kinds.

    Raises
    ------
    ScenarioError
        If its sites come from a file that cannot be used; the rules have found that before.
    """
    if not is_cellular(scenario) or scenario.world is None or scenario.radio is None:
        return None
    return CellularSections(world=with_sites(scenario.world), radio=scenario.radio)


def map_sections(scenario: Scenario) -> CellularSections:
    """Return the sections that a map shows.

    Raises
    ------
    ScenarioError
        If the network has no places.
    """
    sections = cellular_sections(scenario)
    if sections is None:
        kind = scenario.network.kind
        raise ScenarioError([f"network.kind: a map needs cellular, got {kind}: it has no places"])
    return sections


def find_section_problems(scenario: Scenario) -> list[Problem]:
    """Find sections that are missing or unused, and own sites that are not told or cannot be read.

    All other rules need these.
    """
    kind = scenario.network.kind
    found = []
    for name in RADIO_SECTIONS:
        is_given = getattr(scenario, name) is not None
        if is_cellular(scenario) and not is_given:
            rule = "missing; it is required (a mapping of keys to values) by network.kind cellular"
            found.append(Problem((name,), rule))
        if not is_cellular(scenario) and is_given:
            found.append(Problem((name,), unused_section(kind)))
    if not found and is_cellular(scenario) and scenario.world is not None:
        try:
            layout = with_sites(scenario.world).layout
        except ScenarioError as error:
            found.append(Problem(("world", "layout", "path"), str(error)))
        else:
            if isinstance(layout, SitesLayout):
                found += problems_in_file([*find_form_problems(layout)], scenario.world)
    return found


def find_problems(scenario: Scenario) -> list[Problem]:
    """Find broken rules of a network's own settings, and of others that need what it lacks."""
    sections = cellular_sections(scenario)
    if sections is not None and scenario.world is not None:
        found = cellular_rules.find_problems(sections.world, sections.radio)
        return [*problems_in_file(found, scenario.world), *_edge_problems(scenario, sections)]
    if isinstance(scenario.network, CellularNetworkConfig):
        return []
    kind, server = scenario.network.kind, scenario.server
    found = rate_rules.find_problems(scenario.network, num_clients=scenario.clients.num_clients)
    # a policy of the user's own is tried, see fl.policies.trial
    policy = POLICIES.get(server.policy.kind)
    if policy is not None and policy.uses_signals:
        rule = f"needs signal-to-noise ratios: network.kind cellular, got {kind}"
        found.append(Problem(("server", "policy", "kind"), f"{server.policy.kind} {rule}"))
    if server.has_edges:
        rule = f"{server.mode} needs sites that average: network.kind cellular, got {kind}"
        found.append(Problem(("server", "mode"), rule))
    if server.downlink == "broadcast":
        rule = f"broadcast has no effect: network.kind {kind} has no multicast"
        found.append(Problem(("server", "downlink"), rule))
    return found


def _edge_problems(scenario: Scenario, sections: CellularSections) -> list[Problem]:
    """Find a backhaul of which the slot engine cannot take transfers to sites apart."""
    backhaul, kind = sections.radio.backhaul, sections.radio.engine
    links = [backhaul] if isinstance(backhaul, StarBackhaul) else backhaul.links
    is_limited = any(each.rate_bps is not None for each in links) or bool(backhaul.cuts)
    if not (scenario.server.has_edges and kind == "slot" and is_limited):
        return []
    rule = "must be flow with server.mode hierarchical and limited or cut backhaul links"
    return [Problem(("radio", "engine"), f"{rule}, got {kind}")]


def try_network_of(scenario: Scenario, *, seed: int) -> None:
    """Build what can fail of a network, and throw it away.

    Raises
    ------
    ValueError
        One line that says what cannot be built.
    """
    sections = cellular_sections(scenario)
    if sections is None:
        build_network(scenario, simpy.Environment(), seed=seed)
        return
    own = own_scheduler(sections.radio)
    try_network(sections.world, sections.radio, seed=seed, own_scheduler=own)


def build_network(scenario: Scenario, env: simpy.Environment, *, seed: int) -> RunNetwork:
    """Return the network of one run on its clock; nothing has been sent.

    Raises
    ------
    ValueError
        If its settings or a scheduler of the user's own do not allow it; one line says why.
    """
    num_clients = scenario.clients.num_clients
    sections = cellular_sections(scenario)
    if sections is not None:
        return CellularNetwork(
            env,
            sections.world,
            sections.radio,
            num_clients=num_clients,
            seed=seed,
            own_scheduler=own_scheduler(sections.radio),
        )
    if isinstance(scenario.network, CellularNetworkConfig):
        raise ScenarioError([".".join(p.path) for p in find_section_problems(scenario)])
    return build_rate_network(env, scenario.network, num_clients=num_clients, seed=seed)


def place_rows(network: RunNetwork) -> Mapping[str, Sequence[object]]:
    """Return the rows of sites and cells, by file, of a network that has them."""
    if not isinstance(network, CellularNetwork):
        return {}
    return {"sites": network.sites(), "cells": network.cells()}


def position_rows(network: RunNetwork) -> Mapping[str, Sequence[object]]:
    """Return the rows of positions since the last call, by file, of a network that has them."""
    return {"positions": network.positions()} if isinstance(network, CellularNetwork) else {}


def background_counts(network: RunNetwork) -> dict[str, dict[str, int]]:
    """Return what became of the files of background users, of a network that has such users."""
    files = network.background_files if isinstance(network, CellularNetwork) else None
    return {} if files is None else {"background_files": asdict(files)}
