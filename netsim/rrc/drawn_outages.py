"""Failures of sites at random: in and out of service in turn, drawn as far as time has come."""

from bisect import bisect_right

import numpy as np
from jaxtyping import Bool

from netsim.config.radio import SiteOutageRate
from netsim.streams import Purpose, stream


class DrawnOutages:
    """When each site is out of service: an alternating renewal process that never ends.

    Both times are exponential, and sites have been up and down for long at 0 s: a site is down
    then, and at any instant, with probability ``mean_down_s / (mean_up_s + mean_down_s)`` (Cox,
    Renewal Theory, chapter 7, as recollected). Its times are one stream of their own, so they
    depend neither on what is asked, nor on other sites.

    Parameters
    ----------
    rate
        Mean times.
    num_sites
        Sites of the layout.
    seed
        Root seed of the run.
    """

    def __init__(self, rate: SiteOutageRate, *, num_sites: int, seed: int) -> None:
        self._rate = rate
        self._rngs = [stream(seed, Purpose.OUTAGE, site_id) for site_id in range(num_sites)]
        # starts and ends of outages in turn; the first starts at 0 s where a site is down then
        self._edges_s: list[list[float]] = [[] for _ in range(num_sites)]
        self._num_begun = [0] * num_sites
        self._is_alive = np.ones(num_sites, dtype=bool)
        self._holds_from_s, self._holds_until_s = np.inf, -np.inf
        for site_id in range(num_sites):
            self._begin(site_id)

    def is_site_alive(self, at_s: float) -> Bool[np.ndarray, " site"]:
        """Return which sites are in service; an outage includes its start, not its end."""
        self._look(at_s)
        return self._is_alive

    def next_edge_s(self, after_s: float) -> float:
        """Return when the next failure or repair of any site happens."""
        self._look(after_s)
        return self._holds_until_s

    def take_begun(self, until_s: float) -> list[tuple[int, float, float]]:
        """Return site, start and end of outages that have begun, those of earlier calls left out.

        Parameters
        ----------
        until_s
            They begin then at the latest.
        """
        begun = []
        for site_id, edges_s in enumerate(self._edges_s):
            self._draw(site_id, until_s)
            at = self._num_begun[site_id]
            while edges_s[at] <= until_s:
                begun.append((site_id, edges_s[at], edges_s[at + 1]))
                at += 2
            self._num_begun[site_id] = at
        return begun

    def _look(self, at_s: float) -> None:
        """Find the state of all sites at an instant, and how long it lasts."""
        if self._holds_from_s <= at_s < self._holds_until_s:
            return
        since_s, until_s, is_alive = -np.inf, np.inf, np.ones_like(self._is_alive)
        for site_id, edges_s in enumerate(self._edges_s):
            self._draw(site_id, at_s)
            place = bisect_right(edges_s, at_s)
            is_alive[site_id] = place % 2 == 0
            since_s = max(since_s, edges_s[place - 1]) if place else since_s
            until_s = min(until_s, edges_s[place])
        self._is_alive = is_alive
        self._holds_from_s, self._holds_until_s = since_s, until_s

    def _begin(self, site_id: int) -> None:
        """Draw the first outage: at 0 s, or after a time in service."""
        rate, rng = self._rate, self._rngs[site_id]
        down_fraction = rate.mean_down_s / (rate.mean_up_s + rate.mean_down_s)
        starts_s = 0.0
        if rng.random() >= down_fraction:
            starts_s = float(rng.exponential(rate.mean_up_s))
        self._edges_s[site_id] += [starts_s, starts_s + float(rng.exponential(rate.mean_down_s))]

    def _draw(self, site_id: int, at_s: float) -> None:
        """Draw outages of a site until one ends after an instant, and the next one."""
        edges_s, rate, rng = self._edges_s[site_id], self._rate, self._rngs[site_id]
        while edges_s[-2] <= at_s:
            starts_s = edges_s[-1] + float(rng.exponential(rate.mean_up_s))
            edges_s += [starts_s, starts_s + float(rng.exponential(rate.mean_down_s))]
