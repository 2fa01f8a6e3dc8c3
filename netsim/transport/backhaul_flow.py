"""The backhaul as transfers feel it: a first byte that comes later, a rate that is held down."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from netsim.rrc.links import Links
from netsim.transport.active_transfers import DOWNLINK, ActiveTransfers
from netsim.transport.backhaul import Backhaul
from netsim.transport.site_buffers import WINDOW_S
from netsim.world.layout import NO_CELL

CLOSE_BITS = 1.0
"""Buffers this near to empty or full count as such."""


class Carried(NamedTuple):
    """What wires and buffers leave of rates over the air, and how long it stays so."""

    rate_bps: Float[np.ndarray, " transfer"]
    allowance_bits: Float[np.ndarray, " transfer"]
    """What each may send beyond what the wires carry meanwhile."""
    filling_bps: Float[np.ndarray, " transfer"]
    """How fast that grows, or shrinks."""
    backhaul_limit_bps: Float[np.ndarray, " transfer"]
    """What its wires carry of one with nothing in its buffer, inf for the others."""
    lasts_s: float
    """Until a buffer is full or empty; inf when that is not to come."""


class BackhaulFlow:
    """Latency and rate between the server and the sites that serve transfers.

    Parameters
    ----------
    backhaul
        Links between sites and server.
    cell_site_id
        Site of each cell.
    """

    def __init__(self, backhaul: Backhaul, cell_site_id: Int[np.ndarray, " cell"]) -> None:
        self._backhaul = backhaul
        self._cell_site_id = cell_site_id
        has_limit = any(link.rate_bps is not None for link in backhaul.links)
        self.is_limited = bool(has_limit or np.isfinite(backhaul.next_edge_s(-1.0)))
        """Whether some backhaul link has a limited rate or is ever cut."""

    def next_edge_s(self, after_s: float) -> float:
        """Give when a link is cut or whole again next, inf when none is."""
        return self._backhaul.next_edge_s(after_s)

    def has_route(self, cell_id: int, *, at_s: float) -> bool:
        """Tell whether the site of a cell reaches the server."""
        return self._backhaul.routes(at_s)[self._cell_site_id[cell_id]] is not None

    def latency_s(
        self, cell_id: Int[np.ndarray, " some"], *, at_s: float
    ) -> Float[np.ndarray, " some"]:
        """Give the one-way latency between the sites of cells and the server; 0 without a way."""
        routes = self._backhaul.routes(at_s)
        by_site = np.array([0.0 if route is None else route.latency_s for route in routes])
        return np.where(cell_id == NO_CELL, 0.0, by_site[self._cell_site_id[cell_id]])

    def delay(self, active: ActiveTransfers, links: Links, *, at_s: float) -> None:
        """Hold back transfers that are new on the air by the latency of their wires.

        A download's first byte reaches its site that much later. An upload must leave the air that
        much before its deadline.
        """
        record = active.records
        is_new = ~record["has_route"]
        if not is_new.any():
            return
        record["has_route"] = True
        latency_s = self.latency_s(links.cell_id[record["slot"]], at_s=at_s)
        is_download = record["direction"] == DOWNLINK
        record["ready_at_s"] += np.where(is_new & is_download, latency_s, 0.0)
        record["deadline_at_s"] -= np.where(is_new & ~is_download, latency_s, 0.0)

    def carry(
        self,
        air_bps: Float[np.ndarray, " transfer"],
        *,
        allowance_bits: Float[np.ndarray, " transfer"],
        unsent_bits: Float[np.ndarray, " transfer"],
        cell_id: Int[np.ndarray, " transfer"],
        bearer_id: Int[np.ndarray, " transfer"],
        at_s: float,
    ) -> Carried:
        """Hold rates down to what the wires behind the sites and the buffers at them let through.

        The buffers of :class:`netsim.transport.site_buffers.SiteBuffers` as fluids. A transfer with
        something in its buffer goes at the rate of the air, one without at that of its wires; the
        wires work for everybody whose buffer is not full, at equal rates. So who fades keeps its
        claim on the wires until its buffer is full, and makes up for it later. Who is held up has
        that much less to send; the engine takes it off blocks and airtime. A broadcast crosses the
        wires once for each cell.

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
        at_s
            The instant.
        """
        routes = self._backhaul.routes(at_s)
        by_site = np.array([0.0 if route is None else route.rate_bps for route in routes])
        route_bps = by_site[self._cell_site_id[cell_id]]
        is_free = np.isinf(route_bps)
        most_bits = np.minimum(WINDOW_S * route_bps, unsent_bits)
        held_bits = np.where(is_free, 0.0, np.minimum(allowance_bits, most_bits))
        is_full = held_bits >= most_bits - CLOSE_BITS
        is_through = held_bits >= unsent_bits - CLOSE_BITS  # all of it has crossed the wires
        wanted_bps = np.where(is_full, np.where(is_through, 0.0, air_bps), route_bps)
        wanted_bps = np.where(is_free, air_bps, wanted_bps)
        given_bps = self._given_bps(wanted_bps, cell_id=cell_id, bearer_id=bearer_id, at_s=at_s)
        is_held_up = (held_bits <= CLOSE_BITS) & ~is_through & ~is_free
        rate_bps = np.where(is_held_up, np.minimum(air_bps, given_bps), air_bps)
        rate_bps = np.where(route_bps > 0, rate_bps, 0.0)
        filling_bps = np.where(is_free | (route_bps == 0), 0.0, given_bps - rate_bps)
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
        """Give the part of the wires that each gets of what it wants; 0 without a route."""
        changes = np.diff(cell_id, prepend=-1) != 0
        changes |= np.diff(bearer_id, prepend=-1) != 0
        first = np.flatnonzero(changes)
        wanted = np.maximum.reduceat(wanted_bps, first)
        site_id = self._cell_site_id[cell_id[first]]
        given = self._backhaul.share_bps(wanted, site_id, at_s=at_s)
        return np.minimum(wanted_bps, given[np.cumsum(changes) - 1])
