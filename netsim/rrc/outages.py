"""Failures of sites, planned and at random: which cells are in service when."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from netsim.config.radio import SiteOutage
from netsim.rrc.drawn_outages import DrawnOutages


class Outages:
    """Failures of sites: a site is out of service while a planned outage or a drawn one says so.

    Parameters
    ----------
    outages
        Planned intervals by site.
    cell_site_id
        Site of each cell.
    drawn
        Those at random; ``None``: none.
    """

    def __init__(
        self,
        outages: Sequence[SiteOutage],
        cell_site_id: Int[np.ndarray, " cell"],
        *,
        drawn: DrawnOutages | None = None,
    ) -> None:
        self.drawn = drawn
        """Those at random; ``None``: none."""
        self._cell_site_id = cell_site_id
        self.intervals = tuple(outages)
        """As planned; intervals of one site may overlap."""
        edges = {o.started_at_s for o in outages} | {o.finished_at_s for o in outages}
        self._edges_s = sorted(edges)
        num_sites = int(cell_site_id.max(initial=-1)) + 1
        # Row k holds from edge k - 1 to just before edge k.
        self._is_site_alive = np.ones((len(self._edges_s) + 1, num_sites), dtype=bool)
        for outage in outages:
            first = bisect_left(self._edges_s, outage.started_at_s)
            last = bisect_left(self._edges_s, outage.finished_at_s)
            self._is_site_alive[first + 1 : last + 1, outage.site_id] = False
        self._is_alive = self._is_site_alive[:, cell_site_id]

    @property
    def may_fail(self) -> bool:
        """Whether some site is ever out of service."""
        return self.drawn is not None or bool(self.intervals)

    def is_alive(self, at_s: float) -> Bool[np.ndarray, " cell"]:
        """Return which cells are in service; an outage includes its start, not its end."""
        if self.drawn is not None:
            return self.is_site_alive(at_s)[self._cell_site_id]
        return self._is_alive[self._row(at_s)]

    def is_site_alive(self, at_s: float) -> Bool[np.ndarray, " site"]:
        """Return which sites are in service."""
        planned = self._is_site_alive[self._row(at_s)]
        return planned if self.drawn is None else planned & self.drawn.is_site_alive(at_s)

    def next_edge_s(self, after_s: float) -> float:
        """Return when the next failure or repair happens, inf when none does."""
        edge_s = np.inf if self.drawn is None else self.drawn.next_edge_s(after_s)
        if not self.intervals:
            return edge_s
        place = self._row(after_s)
        return min(edge_s, self._edges_s[place]) if place < len(self._edges_s) else edge_s

    def _row(self, at_s: float) -> int:
        return bisect_right(self._edges_s, at_s)
