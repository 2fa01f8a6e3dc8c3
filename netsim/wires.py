"""The backhaul as transfers feel it: a first byte that comes later, a rate that is held down."""

import numpy as np
from jaxtyping import Float, Int

from netsim.active import DOWNLINK, ActiveTransfers
from netsim.backhaul import Backhaul
from netsim.links import Links
from netsim.transfers import NO_CELL


class Wires:
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
        self.holds_back = bool(has_limit or np.isfinite(backhaul.next_edge_s(-1.0)))
        """Whether some wire has a limited rate or is ever cut."""

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

    def carried_bps(
        self,
        wanted_bps: Float[np.ndarray, " transfer"],
        *,
        cell_id: Int[np.ndarray, " transfer"],
        bearer_id: Int[np.ndarray, " transfer"],
        at_s: float,
    ) -> Float[np.ndarray, " transfer"]:
        """Hold rates down to what the wires behind the sites carry.

        Blocks stay granted and power stays on: the air does not know. A broadcast crosses the wires
        once for each cell.

        Parameters
        ----------
        wanted_bps
            Rates over the air of transfers of one direction, sorted by cell, then by bearer.
        cell_id, bearer_id
            Who serves them, and with whom they share blocks.
        at_s
            The instant.

        Returns
        -------
        Float[np.ndarray, " transfer"]
            Rates; the argument itself where no wire ever limits anything.
        """
        if not self.holds_back:
            return wanted_bps
        changes = np.diff(cell_id, prepend=-1) != 0
        changes |= np.diff(bearer_id, prepend=-1) != 0
        first = np.flatnonzero(changes)
        wanted = np.maximum.reduceat(wanted_bps, first)
        site_id = self._cell_site_id[cell_id[first]]
        carried = self._backhaul.share_bps(wanted, site_id, at_s=at_s)
        return np.minimum(wanted_bps, carried[np.cumsum(changes) - 1])
