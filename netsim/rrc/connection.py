"""The connection of a client: its state by the time since its last data, and what leaving it costs.

States of TS 38.331 with connected mode split by discontinuous reception (DRX)::

    last data --inactivity--> DRX --tail of the radio--> INACTIVE --inactive--> IDLE

The connection ends where the tail of the radio's power model ends: one timer for time and energy.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path

from netsim.config.access import AccessConfig, ConnectionConfig, DrxConfig, PagingConfig
from netsim.config.ue_power import MeasuredPowerConfig, Tr38840PowerConfig, UePowerConfig
from netsim.problems import Problem
from netsim.standard_table import read_standard_table

MEASURED_INACTIVITY_S = 0.5
"""Of measured phones: up to this gap their round trips have no wait for DRX."""
TR38840_INACTIVE_S = 5.0
"""Our choice: IDLE 15 s after the last data, as on the measured standalone network."""


class State(IntEnum):
    """State of a client's connection."""

    ACTIVE = 0
    """Connected and awake."""
    DRX = 1
    """Connected, awake once a cycle."""
    INACTIVE = 2
    """Suspended (RRC_INACTIVE)."""
    IDLE = 3
    """Without connection (RRC_IDLE)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTimers:
    """When a client that has no data goes from state to state."""

    inactivity_s: float
    """Time after the last data in which it is awake [s]."""
    drx_cycle_s: float
    """Cycle of DRX after that [s]."""
    connected_s: float
    """Time from the last data to the release of the connection [s]."""
    inactive_s: float
    """Time from there to IDLE [s]."""

    def state(self, gap_s: float) -> State:
        """Return the state after a gap without data [s]; inf before the first data."""
        edges_s = (
            min(self.inactivity_s, self.connected_s),
            self.connected_s,
            self.connected_s + self.inactive_s,
        )
        return State(bisect_left(edges_s, gap_s))


@cache
def _table() -> dict[str, dict[str, str]]:
    rows = read_standard_table(Path(__file__).with_name("connection_timers.csv"))
    return {row["profile"]: row for row in rows}


def make_timers(
    access: AccessConfig, ue_power: UePowerConfig, *, connected_s: float
) -> ConnectionTimers:
    """Return the timers of settings that :func:`find_problems` finds nothing wrong with.

    Parameters
    ----------
    access, ue_power
        The scenario's sections; parts that are switched off have the timers of the defaults.
    connected_s
        Where the tail of the power model ends [s].
    """
    drx = access.drx or DrxConfig()
    own_inactive_s = (access.connection or ConnectionConfig()).inactive_s
    if isinstance(ue_power, Tr38840PowerConfig):
        inactivity_s, cycle_s = ue_power.inactivity_s, ue_power.drx_cycle_s
        inactive_s = TR38840_INACTIVE_S
    else:
        row = _table()[ue_power.profile]
        inactive_s = float(row["inactive_s"])
        inactivity_s = MEASURED_INACTIVITY_S if drx.inactivity_s is None else drx.inactivity_s
        cycle_s = float(row["drx_cycle_s"]) if drx.cycle_s is None else drx.cycle_s
    return ConnectionTimers(
        inactivity_s=inactivity_s,
        drx_cycle_s=cycle_s,
        connected_s=connected_s,
        inactive_s=inactive_s if own_inactive_s is None else own_inactive_s,
    )


def connect_s(
    state: State,
    config: ConnectionConfig | None,
    drx: DrxConfig | None,
    *,
    is_uplink: bool,
) -> float:
    """Return how long a client takes from a state until it sends, or receives, data [s].

    Parameters
    ----------
    state
        Of the client.
    config, drx
        Parts of the section; ``None`` costs nothing.
    is_uplink
        Whether the client sends. One that is sent something in DRX is awake when it learns of it.
    """
    wake_up_s = drx.wake_up_s if drx is not None and is_uplink else 0.0
    resume_s, setup_s = (0.0, 0.0) if config is None else (config.resume_s, config.setup_s)
    return (0.0, wake_up_s, resume_s, setup_s)[state]


def notice_s(
    state: State,
    uniform: float,
    *,
    drx_cycle_s: float | None,
    paging: PagingConfig | None,
) -> float:
    """Return how long a client takes until it notices that there is something to receive [s].

    Parameters
    ----------
    state
        Of the client.
    uniform
        Part of its cycle that is left, in [0, 1).
    drx_cycle_s, paging
        The cycles; ``None`` costs nothing.
    """
    inactive_s, idle_s = (
        (0.0, 0.0) if paging is None else (paging.inactive_cycle_s, paging.idle_cycle_s)
    )
    return uniform * (0.0, drx_cycle_s or 0.0, inactive_s, idle_s)[state]


def find_problems(
    access: AccessConfig, ue_power: UePowerConfig, path: tuple[str, ...]
) -> list[Problem]:
    """Return timers that contradict the power model, or that it leaves without effect.

    Parameters
    ----------
    access, ue_power
        The scenario's sections.
    path
        Key of the first in the scenario.
    """
    return [Problem((*path, *key.split(".")), rule) for key, rule in _find_faults(access, ue_power)]


def _find_faults(access: AccessConfig, ue_power: UePowerConfig) -> Iterator[tuple[str, str]]:
    drx = access.drx
    if drx is not None and not isinstance(ue_power, MeasuredPowerConfig):
        for name, own in (("inactivity_s", "inactivity_s"), ("cycle_s", "drx_cycle_s")):
            if getattr(drx, name) is not None:
                yield f"drx.{name}", f"has no effect with ue_power.kind tr38840: set ue_power.{own}"
    timers = make_timers(access, ue_power, connected_s=0.0)
    if timers.inactive_s > 0:
        return
    connection, paging = access.connection, access.paging
    if connection is not None and connection.resume_s != ConnectionConfig.resume_s:
        yield "connection.resume_s", "has no effect: no client is ever INACTIVE (inactive_s 0)"
    if paging is not None and paging.inactive_cycle_s != PagingConfig.inactive_cycle_s:
        yield "paging.inactive_cycle_s", "has no effect: no client is ever INACTIVE (inactive_s 0)"
