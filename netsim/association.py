"""Which cell serves a client: the strongest at first, then handover and radio-link failure."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.config.radio import SiteOutage
from netsim.links import Links
from netsim.transfers import NO_CELL


class Outages:
    """Planned failures of sites: which cells are alive when.

    Parameters
    ----------
    outages
        Intervals by site.
    cell_site_id
        Site of each cell.
    """

    def __init__(
        self, outages: Sequence[SiteOutage], cell_site_id: Int[np.ndarray, " cell"]
    ) -> None:
        self._outages = tuple(outages)
        self._cell_site_id = cell_site_id
        edges = {o.started_at_s for o in outages} | {o.finished_at_s for o in outages}
        self._edges_s = np.array(sorted(edges))

    def is_alive(self, at_s: float) -> Bool[np.ndarray, " cell"]:
        """Tell which cells work; an outage holds from its start to just before its end."""
        alive = np.ones(len(self._cell_site_id), dtype=bool)
        for outage in self._outages:
            if outage.started_at_s <= at_s < outage.finished_at_s:
                alive[self._cell_site_id == outage.site_id] = False
        return alive

    def next_edge_s(self, after_s: float) -> float:
        """Give when the next failure or repair happens, inf when none does."""
        place = int(np.searchsorted(self._edges_s, after_s, side="right"))
        return float(self._edges_s[place]) if place < len(self._edges_s) else np.inf


def strongest_cell(
    gain: Float[np.ndarray, "client cell"],
    *,
    is_alive: Bool[np.ndarray, " cell"],
    min_gain: float,
) -> Int[np.ndarray, " client"]:
    """Give the cell with the largest gain among those alive; -1 where it is below ``min_gain``.

    Among equal gains the lowest id wins.
    """
    usable = np.where(is_alive, gain, 0.0)
    best = usable.argmax(axis=1)
    reached = usable[np.arange(len(best)), best] >= min_gain
    return np.where(reached, best, NO_CELL)


def attach(
    links: Links,
    slots: Int[np.ndarray, " some"],
    *,
    is_alive: Bool[np.ndarray, " cell"],
    min_gain: float,
) -> None:
    """Serve slots by their strongest cells."""
    cell_id = strongest_cell(links.gain[slots], is_alive=is_alive, min_gain=min_gain)
    links.serve(slots, cell_id)
