"""Books what sites radiate: from integrals over time to entries in the ledger.

The base load is not booked: the ledger knows it in closed form.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.energy.ledger import Ledger
from netsim.rrc.outages import Outages

MOST_LOADS = 256
"""Loads of which it is kept what sites radiate; beyond, all are forgotten."""


class Radiation(NamedTuple):
    """What sites do at a load of their cells."""

    radiated_w: Float[np.ndarray, " site"]
    is_any: bool
    """Whether some site radiates."""
    is_busy: Bool[np.ndarray, " site"]
    busy: bytes
    """The same, to compare."""


class SiteMeter:
    """Integrals of what sites radiate, booked when a site's traffic stops or somebody asks.

    A site without power radiates nothing and is booked nothing, whatever was set. Time starts at 0.

    Parameters
    ----------
    ledger
        Where it is booked; the power cuts are told to it here, drawn ones when they begin.
    outages
        When sites have no power.
    cell_site_id
        Site of each cell.
    full_cell_w
        Power that each cell radiates in its whole band while it sends [W].
    drawn_per_radiated
        Watts drawn for each watt radiated, by site.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        outages: Outages,
        cell_site_id: Int[np.ndarray, " cell"],
        full_cell_w: Float[np.ndarray, " cell"],
        drawn_per_radiated: Float[np.ndarray, " site"],
    ) -> None:
        num_sites = len(drawn_per_radiated)
        self._ledger = ledger
        self._outages = outages
        self._cell_site_id = cell_site_id
        self._full_cell_w = full_cell_w
        self._slope = drawn_per_radiated
        is_busy = np.zeros(num_sites, dtype=bool)
        self._now = Radiation(
            np.zeros(num_sites), is_any=False, is_busy=is_busy, busy=is_busy.tobytes()
        )
        self._next: tuple[float, Radiation] | None = None
        """What sites do after an instant that is not known to be over [s]."""
        self._known: dict[tuple[bytes, bytes], Radiation] = {}
        self._is_alive = outages.is_site_alive(0.0)
        self._advanced_to_s = 0.0
        self._since_s = np.zeros(num_sites)
        self._radiated_j = np.zeros(num_sites)
        for outage in outages.intervals:
            ledger.cut_power(
                outage.site_id,
                started_at_s=outage.started_at_s,
                finished_at_s=outage.finished_at_s,
            )
        self._cut_drawn(0.0)

    def set_radiation_after(self, radiation: Radiation, *, now_s: float) -> None:
        """Set what sites do once this instant is over, unless something is set before."""
        self._next = now_s, radiation

    def advance(self, now_s: float) -> None:
        """Account for what sites radiate up to now, outages on the way included."""
        if self._next is not None and now_s > self._next[0]:
            at_s, radiation = self._next
            self._radiate(at_s)
            self.set_radiation(radiation, now_s=at_s)
        while (edge_s := self._outages.next_edge_s(self._advanced_to_s)) <= now_s:
            self._radiate(edge_s)
            self._set_alive(self._outages.is_site_alive(edge_s), now_s=edge_s)
            self._cut_drawn(edge_s)
        self._radiate(now_s)

    def set_load(
        self,
        load: Float[np.ndarray, "cell group"],
        *,
        serving: Int[np.ndarray, " transfer"],
        now_s: float,
    ) -> None:
        """Set what sites radiate from now on as long as they have power, and who is busy.

        Parameters
        ----------
        load
            Share of its power that each cell radiates in each group, on average over the time to
            the next call: under TDD, uplink slots count as silence.
        serving
            Cells that serve somebody, in either direction: their sites are busy.
        now_s
            Up to which :meth:`advance` was called.
        """
        self.set_radiation(self.radiation(load, serving=serving), now_s=now_s)

    def radiation(
        self, load: Float[np.ndarray, "cell group"], *, serving: Int[np.ndarray, " transfer"]
    ) -> Radiation:
        """Return what sites do at a load of their cells; arguments as of :meth:`set_load`."""
        key = load.tobytes(), serving.tobytes()
        radiation = self._known.get(key)
        if radiation is None:
            if len(self._known) >= MOST_LOADS:
                self._known.clear()
            radiation = self._known[key] = self._radiation(load, serving)
        return radiation

    def set_radiation(self, radiation: Radiation, *, now_s: float) -> None:
        """Set what sites do from now on, as :meth:`set_load` does."""
        self._next = None
        if radiation.busy != self._now.busy:
            was_busy, is_busy = self._now.is_busy, radiation.is_busy
            for site_id in (was_busy != is_busy).nonzero()[0].tolist():
                if was_busy[site_id]:
                    self._book_site(site_id, now_s)
                else:
                    self._since_s[site_id] = now_s
        self._now = radiation

    def _radiation(
        self, load: Float[np.ndarray, "cell group"], serving: Int[np.ndarray, " transfer"]
    ) -> Radiation:
        mean_load = load[:, 0] if load.shape[1] == 1 else load.mean(axis=1)
        cell_w = self._full_cell_w * mean_load
        radiated_w = np.bincount(self._cell_site_id, weights=cell_w, minlength=len(self._slope))
        is_busy = radiated_w > 0
        is_any = bool(is_busy.any())
        is_busy[self._cell_site_id[serving]] = True
        return Radiation(radiated_w, is_any, is_busy, is_busy.tobytes())

    def flush(self, now_s: float) -> None:
        """Book everything up to now."""
        self._book(self._now.is_busy, now_s)
        self._since_s[self._now.is_busy] = now_s

    def _cut_drawn(self, now_s: float) -> None:
        """Tell the ledger of outages at random that have begun."""
        if self._outages.drawn is None:
            return
        for site_id, started_at_s, finished_at_s in self._outages.drawn.take_begun(now_s):
            self._ledger.cut_power(site_id, started_at_s=started_at_s, finished_at_s=finished_at_s)

    def _radiate(self, until_s: float) -> None:
        if self._now.is_any:
            elapsed_s = until_s - self._advanced_to_s
            self._radiated_j += np.where(self._is_alive, self._now.radiated_w, 0.0) * elapsed_s
        self._advanced_to_s = until_s

    def _set_alive(self, is_alive: Bool[np.ndarray, " site"], *, now_s: float) -> None:
        """Set which sites have power from now on; what the others have radiated is booked."""
        self._book(self._now.is_busy & ~is_alive, now_s)
        self._since_s[is_alive & ~self._is_alive] = now_s
        self._is_alive = is_alive

    def _book(self, chosen: Bool[np.ndarray, " site"], now_s: float) -> None:
        for site_id in chosen.nonzero()[0].tolist():
            self._book_site(site_id, now_s)

    def _book_site(self, site_id: int, now_s: float) -> None:
        """Book what a busy site has radiated; nothing where it has no power."""
        since_s = float(self._since_s[site_id])
        if since_s >= now_s or not self._is_alive[site_id]:
            return
        radiated_j = float(self._radiated_j[site_id])
        self._ledger.charge_site(
            site_id,
            "tx" if radiated_j > 0 else "rx",
            started_at_s=since_s,
            finished_at_s=now_s,
            power_w=float(self._slope[site_id]) * radiated_j / (now_s - since_s),
        )
        self._radiated_j[site_id] = 0.0
