"""The backhaul in the flow engine: its latency, and how it limits the rate of transfers."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.rrc.links import Links
from netsim.transport.active_transfers import DOWNLINK, ActiveTransfers
from netsim.transport.backhaul import Backhaul
from netsim.transport.site_buffers import WINDOW_S
from netsim.world.layout import NO_CELL

CLOSE_BITS = 1.0
"""Buffers this near to empty or full count as such."""


class Carried(NamedTuple):
    """Rates that backhaul and site buffers allow, and how long these hold."""

    rate_bps: Float[np.ndarray, " transfer"]
    allowance_bits: Float[np.ndarray, " transfer"]
    """What each may send at once, beyond what the backhaul carries meanwhile."""
    filling_bps: Float[np.ndarray, " transfer"]
    """Growth of the allowance, negative where it shrinks."""
    backhaul_limit_bps: Float[np.ndarray, " transfer"]
    """Backhaul rate of a transfer whose buffer is empty, inf for the others."""
    lasts_s: float
    """Time until a buffer is full or empty; inf when none will be."""


class BackhaulFlow:
    """Latency and rate between the server and the sites that serve transfers.

    Parameters
    ----------
    backhaul
        Links between sites and server.
    cell_site_id
        Site of each cell.
    core_latency_s
        What uploads need one way from the end of the backhaul to the server [s].
    """

    def __init__(
        self,
        backhaul: Backhaul,
        cell_site_id: Int[np.ndarray, " cell"],
        *,
        core_latency_s: float = 0.0,
    ) -> None:
        self._backhaul = backhaul
        self._core_latency_s = core_latency_s
        self._cell_site_id = cell_site_id
        has_limit = any(link.rate_bps is not None for link in backhaul.links)
        self.is_limited = bool(has_limit or np.isfinite(backhaul.next_edge_s(-1.0)))
        """Whether some backhaul link has a limited rate or is ever cut."""

    def next_edge_s(self, after_s: float) -> float:
        """Return when a link is next cut or repaired, inf when none is."""
        return self._backhaul.next_edge_s(after_s)

    def has_route(self, cell_id: int, *, at_s: float) -> bool:
        """Return whether the site of a cell reaches the server."""
        return self._backhaul.routes(at_s)[self._cell_site_id[cell_id]] is not None

    def latency_s(self, cell_id: int, *, at_s: float) -> float:
        """Return the one-way latency between a cell's site and the server [s]; 0 without either."""
        if cell_id == NO_CELL:
            return 0.0
        return float(self._backhaul.route_latency_s(at_s)[self._cell_site_id[cell_id]])

    def delay(self, active: ActiveTransfers, links: Links, *, at_s: float) -> None:
        """Account for the backhaul latency of transfers that are new on the air.

        The first byte of a download reaches its site later by the latency. An upload must leave the
        air earlier than its deadline by the latency and that behind the backhaul.
        """
        for record in active.take_new():
            if record["has_route"] or record["at_edge"]:
                continue
            record["has_route"] = True
            latency_s = self.latency_s(int(links.cell_id[record["slot"]]), at_s=at_s)
            if record["direction"] == DOWNLINK:
                record["ready_at_s"] += latency_s
            else:
                record["deadline_at_s"] -= latency_s + self._core_latency_s

    def carry(
        self,
        air_bps: Float[np.ndarray, " transfer"],
        *,
        allowance_bits: Float[np.ndarray, " transfer"],
        unsent_bits: Float[np.ndarray, " transfer"],
        cell_id: Int[np.ndarray, " transfer"],
        bearer_id: Int[np.ndarray, " transfer"],
        at_edge: Bool[np.ndarray, " transfer"],
        at_s: float,
    ) -> Carried:
        """Limit rates to what the backhaul of the sites and the buffers at them allow.

        The fluid model of the buffers of :class:`netsim.transport.site_buffers.SiteBuffers`. A
        transfer whose buffer holds data is sent at the rate of the air interface, one whose buffer
        is empty at the rate of its backhaul. The backhaul serves all transfers whose buffers are
        not full, max-min fair. A transfer in a fade so keeps its share of the backhaul until its
        buffer is full, and catches up later. A transfer that waits for the backhaul sends less; the
        engine reduces its blocks and airtime accordingly. A broadcast crosses the backhaul once for
        each cell.

        Parameters
        ----------
        air_bps
            Rates over the air of transfers of one direction, sorted by cell, then by bearer.
        allowance_bits
            What each may send at once.
        unsent_bits
            What each has not sent yet.
        cell_id, bearer_id
            Who serves them, and with whom they share blocks.
        at_edge
            Which of them do not cross the backhaul.
        at_s
            The instant.
        """
        route_bps = self._backhaul.route_rate_bps(at_s)[self._cell_site_id[cell_id]]
        is_free = np.isinf(route_bps) | at_edge
        most_bits = np.minimum(WINDOW_S * route_bps, unsent_bits)
        held_bits = np.where(is_free, 0.0, np.minimum(allowance_bits, most_bits))
        is_full = held_bits >= most_bits - CLOSE_BITS
        is_through = held_bits >= unsent_bits - CLOSE_BITS  # all of it has crossed the backhaul
        wanted_bps = np.where(is_full, np.where(is_through, 0.0, air_bps), route_bps)
        wanted_bps = np.where(is_free, np.where(at_edge, 0.0, air_bps), wanted_bps)
        given_bps = self._given_bps(wanted_bps, cell_id=cell_id, bearer_id=bearer_id, at_s=at_s)
        is_held_up = (held_bits <= CLOSE_BITS) & ~is_through & ~is_free
        rate_bps = np.where(is_held_up, np.minimum(air_bps, given_bps), air_bps)
        filling_bps = np.where(is_free, 0.0, given_bps - rate_bps)
        to_go_bits = np.where(filling_bps < 0, -held_bits, WINDOW_S * route_bps - held_bits)
        with np.errstate(divide="ignore", invalid="ignore"):
            changes = (filling_bps != 0) & ~is_through
            until_s = np.where(changes, to_go_bits / filling_bps, np.inf)
            # A buffer that holds all that is left fills no more.
            through_s = np.where(given_bps > 0, (unsent_bits - held_bits) / given_bps, np.inf)
        is_empty = is_held_up & (filling_bps <= 0)
        through_s = np.where(is_free | is_through | is_empty, np.inf, through_s)
        lasts_s = min(until_s.min(initial=np.inf), through_s.min(initial=np.inf))
        return Carried(
            rate_bps=rate_bps,
            allowance_bits=held_bits,
            filling_bps=filling_bps,
            backhaul_limit_bps=np.where(is_held_up, given_bps, np.inf),
            lasts_s=float(lasts_s),
        )

    def _given_bps(
        self,
        wanted_bps: Float[np.ndarray, " transfer"],
        *,
        cell_id: Int[np.ndarray, " transfer"],
        bearer_id: Int[np.ndarray, " transfer"],
        at_s: float,
    ) -> Float[np.ndarray, " transfer"]:
        """Return the backhaul rate of each, at most what it asks for [bit/s]; 0 without a route."""
        changes = np.ones(len(cell_id), dtype=bool)
        changes[1:] = (np.diff(cell_id) != 0) | (np.diff(bearer_id) != 0)
        first = np.flatnonzero(changes)
        wanted = np.maximum.reduceat(wanted_bps, first)
        site_id = self._cell_site_id[cell_id[first]]
        given = self._backhaul.share_bps(wanted, site_id, at_s=at_s)
        return np.minimum(wanted_bps, given[np.cumsum(changes) - 1])
