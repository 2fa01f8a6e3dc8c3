"""Bytes between sites and server that belong to no transfer of a client: they cross the backhaul.

A fluid model: the relays of one direction share the links of limited rate max-min fair, anew
whenever one comes or goes or a link breaks or is whole again. The last byte of a relay arrives
after the latency of its route. Without a route a relay waits.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import simpy

from netsim.transport.backhaul import Backhaul
from netsim.transport.transfers import DIRECTIONS, Direction

UNLIMITED_BPS = 1e15
"""What a relay sends at where no link on its route has a limit [bit/s]."""
ROUNDING = 1e-12
"""Relative error of instants that are sums of others."""


@dataclass(slots=True)
class _Relay:
    """Bytes on their way."""

    site_id: int
    left_bits: float
    event: simpy.Event
    rate_bps: float = 0.0
    finish_at_s: float = np.inf
    """When the last bit is sent at this rate."""


class Relays:
    """The relays of a network.

    Parameters
    ----------
    env
        Clock.
    backhaul
        Links between sites and server.
    num_sites
        Sites 0 .. num_sites - 1.
    """

    def __init__(self, env: simpy.Environment, backhaul: Backhaul, *, num_sites: int) -> None:
        self._num_sites = num_sites
        self._flows = {each: _Flow(env, backhaul) for each in DIRECTIONS}

    def relay(self, site_id: int, direction: Direction, size_bytes: int) -> simpy.Event:
        """Start to move bytes; the event fires when the last one has arrived.

        Raises
        ------
        ValueError
            If there is no such site or direction, or the size is not at least 1 byte.
        """
        if not 0 <= site_id < self._num_sites:
            msg = f"site_id: must be 0 to {self._num_sites - 1}, got {site_id}"
            raise ValueError(msg)
        if direction not in self._flows:
            msg = f"direction: must be {' or '.join(DIRECTIONS)}, got {direction!r}"
            raise ValueError(msg)
        if size_bytes < 1:
            msg = f"size_bytes: must be >= 1, got {size_bytes}"
            raise ValueError(msg)
        return self._flows[direction].add(site_id, 8.0 * size_bytes)


class _Flow:
    """The relays of one direction."""

    def __init__(self, env: simpy.Environment, backhaul: Backhaul) -> None:
        self._env = env
        self._backhaul = backhaul
        self._relays: list[_Relay] = []
        self._since_s = 0.0
        self._num_plans = 0

    @property
    def _now_s(self) -> float:
        return float(self._env.now)

    def add(self, site_id: int, size_bits: float) -> simpy.Event:
        """Begin a relay; return the event of its arrival."""
        self._advance()
        relay = _Relay(site_id, size_bits, self._env.event())
        self._relays.append(relay)
        self._plan()
        return relay.event

    def _advance(self) -> None:
        """Count what has been sent up to now, and let those that are through arrive."""
        now_s = self._now_s
        routes = self._backhaul.routes(now_s)
        for each in self._relays:
            each.left_bits -= each.rate_bps * (now_s - self._since_s)
            if each.finish_at_s <= now_s * (1 + ROUNDING):
                route = routes[each.site_id]
                self._arrive(each.event, 0.0 if route is None else route.latency_s)
        self._relays = [each for each in self._relays if each.finish_at_s > now_s * (1 + ROUNDING)]
        self._since_s = now_s

    def _plan(self) -> None:
        """Divide the links, and come back when a relay is through or a link changes."""
        self._num_plans += 1
        if not self._relays:
            return
        now_s = self._now_s
        site_id = np.array([each.site_id for each in self._relays])
        wanted_bps = np.full(len(self._relays), UNLIMITED_BPS)
        rates_bps = self._backhaul.share_bps(wanted_bps, site_id, at_s=now_s)
        for each, rate_bps in zip(self._relays, rates_bps.tolist(), strict=True):
            each.rate_bps = rate_bps
            each.finish_at_s = now_s + each.left_bits / rate_bps if rate_bps > 0 else np.inf
        due_s = min(each.finish_at_s for each in self._relays)
        due_s = min(due_s, self._backhaul.next_edge_s(now_s))
        if due_s < np.inf:
            timer = self._env.timeout(due_s - now_s)
            timer.callbacks.append(partial(self._wake, self._num_plans))

    def _wake(self, plan: int, _: simpy.Event) -> None:
        if plan == self._num_plans:  # no other has replaced it
            self._advance()
            self._plan()

    def _arrive(self, event: simpy.Event, latency_s: float) -> None:
        self._env.timeout(latency_s).callbacks.append(partial(_fire, event))


def _fire(event: simpy.Event, _: simpy.Event) -> None:
    event.succeed()
