"""Batteries: what clients have left, drawn by work and waiting, refilled in charging windows.

What a client spends on computing and radio comes from the energy account of the run; waiting and
charging are straight lines in time. So levels cost no events: they are worked out when asked for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from jaxtyping import Bool, Float, Int

from fl.clients.availability.addressed import uniforms
from fl.clients.availability.daily import DailyWindow, DailyWindows, window_fault
from fl.problems import Problem

WH_J = 3600.0
MAX_DAYS = 1000
"""Days for which the return of a client is searched."""


@dataclass(frozen=True, kw_only=True)
class BatteryConfig:
    """Batteries of the devices that have one (``battery_wh`` of their class)."""

    start_level: Annotated[float, Gt(0), Le(1)] = 1.0
    """Part of a full battery at 0 s, on average."""
    start_level_spread: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Clients start with up to this more or less, uniformly."""
    idle_w: Annotated[float, Ge(0), Le(100)] = 0.04
    """Power that a device draws beside computing and radio [W] (our choice)."""
    counts_waiting: bool = True
    """Whether ``idle_w`` is drawn between participations, too."""
    charging: DailyWindow | None = None
    """When devices charge; never when empty."""
    charging_w: Annotated[float, Gt(0), Le(1000)] = 10.0
    """Power at which they charge [W] (our choice)."""
    return_level: Annotated[float, Gt(0), Le(1)] = 0.2
    """Part of a full battery with which a client comes back whose battery was empty (our
    choice)."""
    starts_at_h: Annotated[float, Ge(0), Lt(24)] = 0.0
    """Local time of day when the simulation starts [h]."""


def find_problems(
    config: BatteryConfig, *, has_any: bool, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find settings without effect or out of range; ``has_any``: whether a class has a battery."""
    if not has_any:
        rule = "has no effect: no class in clients.devices has a battery (battery_wh)"
        yield Problem(path, rule)
    low, high = (config.start_level + sign * config.start_level_spread for sign in (-1, 1))
    if low <= 0 or high > 1:
        rule = f"start_level with it must stay within 0 and 1, got {low:g} to {high:g}"
        yield Problem((*path, "start_level_spread"), rule)
    if config.charging is None:
        for name in ("charging_w", "return_level", "starts_at_h"):
            if getattr(config, name) != getattr(BatteryConfig, name):
                rule = f"has no effect without charging, got {getattr(config, name):g}"
                yield Problem((*path, name), rule)
        return
    if fault := window_fault(config.charging):
        yield Problem((*path, "charging", "spread_h"), fault)
    if config.charging_w <= config.idle_w:
        rule = f"must be > idle_w = {config.idle_w:g}, got {config.charging_w:g}"
        yield Problem((*path, "charging_w"), rule)


class Batteries:
    """Levels of all clients, brought up to an instant when they are asked for.

    Parameters
    ----------
    config
        What they have in common.
    capacity_j
        Energy of each full battery; inf for a device on mains.
    spent_j
        Tells what some clients have spent on computing and radio up to now.
    key
        Of the draws, see :func:`fl.clients.availability.addressed.uniforms`.
    """

    def __init__(
        self,
        config: BatteryConfig,
        *,
        capacity_j: Float[np.ndarray, " client"],
        spent_j: Callable[[Int[np.ndarray, " client"]], Float[np.ndarray, " client"]],
        key: int,
    ) -> None:
        num = len(capacity_j)
        self._config = config
        self._spent_j = spent_j
        self._windows: DailyWindows | None = None
        if config.charging is not None:
            starts_at_h = config.starts_at_h
            self._windows = DailyWindows(config.charging, starts_at_h=starts_at_h, key=key)
        draws = uniforms(key, np.arange(num), -(2**40))
        start = config.start_level + config.start_level_spread * (2 * draws - 1)
        self.capacity_j = capacity_j
        """Energy of each full battery; inf for a device on mains."""
        self._level_j = start * capacity_j
        self._since_s = np.zeros(num)
        self._booked_j = np.zeros(num)
        self._has_worked = np.zeros(num, dtype=np.bool_)
        self._is_at_work = np.zeros(num, dtype=np.bool_)
        self._is_empty = np.zeros(num, dtype=np.bool_)

    def levels_j(
        self, client_ids: Int[np.ndarray, " client"], *, now_s: float
    ) -> Float[np.ndarray, " client"]:
        """Return what some clients have left now; inf for those on mains."""
        self._settle(client_ids, now_s)
        levels_j: Float[np.ndarray, " client"] = self._level_j[client_ids]
        return levels_j

    @property
    def can_charge(self) -> bool:
        """Whether devices ever charge."""
        return self._windows is not None

    def is_there(
        self, client_ids: Int[np.ndarray, " client"], *, now_s: float
    ) -> Bool[np.ndarray, " client"]:
        """Return which have a battery that is not empty, nor was since it last charged enough."""
        self._settle(client_ids, now_s)
        there: Bool[np.ndarray, " client"] = ~self._is_empty[client_ids]
        return there

    def begin(self, client_id: int, *, now_s: float) -> None:
        """Note that a client begins to work."""
        self._settle(np.array([client_id]), now_s)
        self._is_at_work[client_id] = self._has_worked[client_id] = True

    def end(self, client_id: int, *, now_s: float) -> None:
        """Note that it has ended."""
        self._settle(np.array([client_id]), now_s)
        self._is_at_work[client_id] = False

    def empty(self, client_id: int) -> None:
        """Note that a battery is empty now, whatever rounding left in it."""
        self._level_j[client_id] = 0.0
        self._is_empty[client_id] = True

    def safe_s(self, client_id: int, *, now_s: float, most_w: float) -> float:
        """Return how long a client can go on for certain [s]; 0 when its battery is empty.

        Parameters
        ----------
        client_id
            At work.
        now_s
            Now.
        most_w
            Power that computing and radio draw at most.

        Returns
        -------
        float
            Until the battery could be empty, or to the next begin or end of charging; inf on mains.
        """
        ids = np.array([client_id])
        (level_j,) = self.levels_j(ids, now_s=now_s).tolist()
        if level_j == np.inf:
            return np.inf
        power_w, edge_s = most_w + self._config.idle_w, np.inf
        # less cannot be told from now
        if level_j <= power_w * max(1e-12, 4 * float(np.spacing(now_s))):
            return 0.0
        if self._windows is not None:
            edge_s = float(self._windows.next_change_s(ids, after_s=now_s)[0]) - now_s
            if self._windows.is_available(ids, at_s=now_s)[0]:
                power_w -= self._config.charging_w
        return min(edge_s, level_j / power_w if power_w > 0 else np.inf)

    def next_return_s(self, *, now_s: float) -> float:
        """Return when the first of the clients comes back whose battery is empty; inf if none."""
        ids = np.flatnonzero(self._is_empty)
        if self._windows is None or not len(ids):
            return np.inf
        self._settle(ids, now_s)
        drain_w, charging_w = self._drain_w(ids), self._config.charging_w
        wanted_j = self._config.return_level * self.capacity_j[ids]
        level_j, at_s = self._level_j[ids], np.full(len(ids), now_s)
        first = self._windows.day(now_s) - 1
        for day in range(first, first + MAX_DAYS):
            edges_s = self._windows.windows(ids, day)
            begin_s, end_s = (np.maximum(_or(each, at_s), at_s) for each in edges_s)
            level_j = np.maximum(level_j - drain_w * (begin_s - at_s), 0.0)
            needed_s = (wanted_j - level_j) / (charging_w - drain_w)
            is_back = begin_s + needed_s <= end_s
            if is_back.any():
                return float((begin_s + needed_s)[is_back].min())
            level_j = level_j + (charging_w - drain_w) * (end_s - begin_s)
            at_s = end_s
        return np.inf

    def _drain_w(self, ids: Int[np.ndarray, " client"]) -> Float[np.ndarray, " client"]:
        idle_w = self._config.idle_w
        is_drawn = self._is_at_work[ids] | self._config.counts_waiting
        return np.where(is_drawn, idle_w, 0.0)

    def _settle(self, client_ids: Int[np.ndarray, " client"], now_s: float) -> None:
        """Bring clients up to now: what they spent, waited and charged since they last were."""
        ids = np.asarray(client_ids)
        ids = ids[np.isfinite(self.capacity_j[ids])]
        worked = ids[self._has_worked[ids]]
        if len(worked):
            spent_j = self._spent_j(worked)
            self._level_j[worked] -= spent_j - self._booked_j[worked]
            self._booked_j[worked] = spent_j
        ids = ids[self._since_s[ids] < now_s]
        if not len(ids):
            return
        drain_w, at_s = self._drain_w(ids), self._since_s[ids]
        # between two events of a client at work there is one stretch: what it spends within it may
        # be more than what it had at its begin
        floor_j = np.where(self._is_at_work[ids], -np.inf, 0.0)
        if self._windows is not None:
            first, last = self._windows.day(float(at_s.min())) - 1, self._windows.day(now_s) + 1
            for day in range(first, last + 1):
                edges_s = self._windows.windows(ids, day)
                begin_s, end_s = (np.clip(_or(each, at_s), at_s, now_s) for each in edges_s)
                self._pass(ids, begin_s - at_s, -drain_w, floor_j=floor_j)
                self._pass(ids, end_s - begin_s, self._config.charging_w - drain_w, floor_j=floor_j)
                at_s = end_s
        self._pass(ids, now_s - at_s, -drain_w, floor_j=floor_j)
        self._since_s[ids] = now_s

    def _pass(
        self,
        ids: Int[np.ndarray, " client"],
        duration_s: Float[np.ndarray, " client"],
        power_w: Float[np.ndarray, " client"],
        *,
        floor_j: Float[np.ndarray, " client"],
    ) -> None:
        """Let time pass at a power that fills, or drains, batteries."""
        level_j = np.maximum(self._level_j[ids] + power_w * duration_s, floor_j)
        level_j = np.minimum(level_j, self.capacity_j[ids])
        self._level_j[ids] = level_j
        is_waiting = ~self._is_at_work[ids]
        self._is_empty[ids] |= is_waiting & (level_j <= 0)
        wanted_j = self._config.return_level * self.capacity_j[ids]
        # within a microsecond: the instant at which it comes back is rounded
        self._is_empty[ids] &= level_j < wanted_j - 1e-6 * self._config.charging_w


def _or(
    edge_s: Float[np.ndarray, " client"], at_s: Float[np.ndarray, " client"]
) -> Float[np.ndarray, " client"]:
    """Return edges of windows; an instant where a client has none on a day."""
    return np.where(np.isfinite(edge_s), edge_s, at_s)
