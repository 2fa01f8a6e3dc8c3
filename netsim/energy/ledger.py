"""Who spent how many joules on what, and when.

Every entry is an interval of constant power with an owner and an activity. Two kinds of energy are
not entries but follow from them in closed form when asked for, so they cost no events:

* the *tail* of a client's radio after its transfers (listening, DRX, release), booked as ``idle``.
  Standby before a client's first transfer and after the release is not counted: the federation
  does not cause it, and clients that never take part cost nothing;
* the *base load* of every site, from instant 0 on, but for its outages: then its power is cut (our
  choice), so it draws nothing at all. It comes back awake.

Sums run along while entries are booked, and gaps are kept by :class:`BusyTime`: what was spent up
to now is told without reading the entries again. What was spent up to an instant before the end of
some entry, or while a site has no power, is replayed from the entries.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from netsim.energy.busy_time import BusyTime, gaps_s
from netsim.energy.entries import Entries, EntryColumns
from netsim.energy.site_energy import SitePower
from netsim.energy.ue_energy import UePower

CLIENT_ACTIVITIES = ("tx", "rx", "idle", "compute")
SITE_ACTIVITIES = ("tx", "rx", "base")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTotal:
    """What one owner spent on one activity up to an instant: one row of ``energy.csv``."""

    owner: Literal["client", "site"]
    owner_id: int
    activity: str
    seconds: float
    energy_j: float


class Ledger:
    """The joules of one run.

    Parameters
    ----------
    ue_power
        Power model of the clients' radios; gives the tail.
    site_power
        Power model of each site, in the order of site ids; gives the base load.
    """

    def __init__(self, *, ue_power: UePower, site_power: Sequence[SitePower]) -> None:
        self._ue_power = ue_power
        self._site_power = tuple(site_power)
        self._clients = EntryColumns(CLIENT_ACTIVITIES)
        self._sites = EntryColumns(SITE_ACTIVITIES)
        self._cuts: list[tuple[int, float, float]] = []
        self._future_cuts: list[tuple[int, float, float]] = []
        self._radio, self._traffic = BusyTime(), BusyTime()
        self._entries_j: dict[int, float] = {}
        self._tails_j: dict[int, array[float]] = {}
        self._tails_sum_j: dict[int, float] = {}
        # An empty interval at 0 opens the gap before a site's first traffic.
        for site_id in range(len(self._site_power)):
            self._traffic.add(site_id, 0.0, 0.0)

    def cut_power(self, site_id: int, *, started_at_s: float, finished_at_s: float) -> None:
        """Take a site off the mains over an interval, past or future: no base load runs.

        What the site radiates is booked by :meth:`charge_site`, which the caller leaves out then.

        Parameters
        ----------
        site_id
            Which site.
        started_at_s, finished_at_s
            The interval, 0 <= start <= end; cuts of one site may overlap, inf is for good.

        Raises
        ------
        ValueError
            If there is no such site or the interval is out of range.
        """
        self._check_site(site_id)
        if not 0 <= started_at_s <= finished_at_s:
            msg = f"interval: must be 0 <= start <= end, got {started_at_s} to {finished_at_s} s"
            raise ValueError(msg)
        self._cuts.append((site_id, started_at_s, finished_at_s))
        self._future_cuts.append((site_id, started_at_s, finished_at_s))

    def charge(
        self,
        client_id: int,
        activity: str,
        *,
        started_at_s: float,
        finished_at_s: float,
        power_w: float,
    ) -> None:
        """Book a power drawn by a client over an interval.

        Parameters
        ----------
        client_id
            Who.
        activity
            ``tx``, ``rx``, ``idle`` (in a transfer without blocks) or ``compute``. The first three
            are the radio: the tail runs where none of them does.
        started_at_s, finished_at_s
            The interval, 0 <= start <= end; an empty one leaves no entry.
        power_w
            Power drawn [W], >= 0.

        Raises
        ------
        ValueError
            If the activity is not one of the four or a number is out of range.
        """
        if not self._clients.append(client_id, activity, started_at_s, finished_at_s, power_w):
            return
        energy_j = power_w * (finished_at_s - started_at_s)
        self._entries_j[client_id] = self._entries_j.get(client_id, 0.0) + energy_j
        if activity == "compute":
            return
        gap_s = self._radio.add(client_id, started_at_s, finished_at_s)
        if gap_s is None:
            gaps_of_s = self._radio.closed_gaps_s(client_id)
            self._tails_j[client_id] = array("d", self._ue_power.tail_energy_j(gaps_of_s).tolist())
            self._tails_sum_j[client_id] = sum(self._tails_j[client_id])
        elif gap_s > 0:
            tail_j = float(self._ue_power.tail_energy_j(gap_s))
            self._tails_j.setdefault(client_id, array("d")).append(tail_j)
            self._tails_sum_j[client_id] = self._tails_sum_j.get(client_id, 0.0) + tail_j

    def charge_site(
        self,
        site_id: int,
        activity: str,
        *,
        started_at_s: float,
        finished_at_s: float,
        power_w: float,
    ) -> None:
        """Book a power drawn by a site on top of its base load.

        ``tx`` carries the power that radiating costs, ``rx`` usually 0 W: both keep the site awake.
        """
        self._check_site(site_id)
        if self._sites.append(site_id, activity, started_at_s, finished_at_s, power_w):
            self._traffic.add(site_id, started_at_s, finished_at_s)

    def client_entries(self) -> Entries:
        """Everything booked to clients; activity is an index into ``CLIENT_ACTIVITIES``."""
        return self._clients.entries()

    def site_entries(self) -> Entries:
        """Everything booked to sites; activity is an index into ``SITE_ACTIVITIES``."""
        return self._sites.entries()

    def client_energy_j(
        self, client_ids: Int[np.ndarray, " client"], at_s: float
    ) -> Float[np.ndarray, " client"]:
        """Return what some clients spent up to an instant, each its radio (with tails) and compute.

        Running sums: the sum over clients may differ from :meth:`total_energy_j` in the last bits.

        Parameters
        ----------
        client_ids
            Whose, in any order; a client that never took part spent nothing.
        at_s
            The instant [s].
        """
        ids = np.asarray(client_ids, dtype=np.int64)
        if at_s < self._clients.latest_s:
            entries = self.client_entries().until(at_s)
            owner_id, tail_j, _ = self._tails(entries, at_s)
            owners = np.concatenate([entries.owner_id, owner_id])
            energy_j = np.concatenate([entries.energy_j, tail_j])
            num = int(np.concatenate([ids, owners]).max(initial=-1)) + 1
            return np.bincount(owners, weights=energy_j, minlength=num)[ids]
        closed_j = [
            self._entries_j.get(client_id, 0.0) + self._tails_sum_j.get(client_id, 0.0)
            for client_id in ids.tolist()
        ]
        open_s = self._radio.open_gaps_s(ids.tolist(), at_s)
        return np.array(closed_j) + self._ue_power.tail_energy_j(open_s)

    def total_energy_j(self, at_s: float) -> float:
        """Sum what all clients spent up to an instant, radio (with tails) and compute."""
        if at_s < self._clients.latest_s:
            entries = self.client_entries().until(at_s)
            return float(entries.energy_j.sum() + self._tails(entries, at_s)[1].sum())
        client_ids = self._radio.owners()
        open_s = self._radio.open_gaps_s(client_ids, at_s)
        open_j = self._ue_power.tail_energy_j(open_s)
        tails_j = []
        for place, client_id in enumerate(client_ids):
            if client_id in self._tails_j:
                tails_j.append(np.array(self._tails_j[client_id]))
            if open_s[place] > 0:
                tails_j.append(open_j[place : place + 1])
        return self._clients.energy_j() + float(np.concatenate([np.empty(0), *tails_j]).sum())

    def site_energy_j(self, at_s: float) -> float:
        """Sum what all sites drew up to an instant: base load and radiation."""
        if at_s < self._sites.latest_s:
            booked_j = float(self.site_entries().until(at_s).energy_j.sum())
        else:
            booked_j = self._sites.energy_j()
        return booked_j + float(self._base_loads(at_s)[0].sum())

    def totals(self, until_s: float) -> list[EnergyTotal]:
        """Seconds and joules by owner and activity up to an instant, clients first, then by id.

        ``idle`` of a client includes its tails, ``base`` of a site is its whole base load over the
        time that it had power. Clients that spent nothing are left out.
        """
        return [*self._client_totals(until_s), *self._site_totals(until_s)]

    def _client_totals(self, until_s: float) -> list[EnergyTotal]:
        entries = self.client_entries().until(until_s)
        owner_id, tail_j, tail_s = self._tails(entries, until_s)
        tail_code = np.full(len(owner_id), CLIENT_ACTIVITIES.index("idle"))
        return _sum_by(
            "client",
            CLIENT_ACTIVITIES,
            owner_id=np.concatenate([entries.owner_id, owner_id]),
            activity=np.concatenate([entries.activity, tail_code]),
            seconds=np.concatenate([entries.seconds, tail_s]),
            energy_j=np.concatenate([entries.energy_j, tail_j]),
        )

    def _site_totals(self, until_s: float) -> list[EnergyTotal]:
        entries = self.site_entries().until(until_s)
        num_sites = len(self._site_power)
        base_code = np.full(num_sites, SITE_ACTIVITIES.index("base"))
        base_j, powered_s = self._base_loads(until_s)
        return _sum_by(
            "site",
            SITE_ACTIVITIES,
            owner_id=np.concatenate([entries.owner_id, np.arange(num_sites)]),
            activity=np.concatenate([entries.activity, base_code]),
            seconds=np.concatenate([entries.seconds, powered_s]),
            energy_j=np.concatenate([entries.energy_j, base_j]),
        )

    def _tails(
        self, entries: Entries, until_s: float
    ) -> tuple[Int[np.ndarray, " gap"], Float[np.ndarray, " gap"], Float[np.ndarray, " gap"]]:
        """Owner, energy and connected time of every gap after a radio activity."""
        radio = entries.of(entries.activity != CLIENT_ACTIVITIES.index("compute"))
        owner_id, gap_s = gaps_s(radio.owner_id, radio.started_at_s, radio.finished_at_s, until_s)
        return owner_id, self._ue_power.tail_energy_j(gap_s), self._ue_power.tail_s(gap_s)

    def _base_loads(
        self, until_s: float
    ) -> tuple[Float[np.ndarray, " site"], Float[np.ndarray, " site"]]:
        """Return each site's base load [J] and its time with power [s].

        Awake while it carries traffic, else as its model says, nothing without power.
        """
        num_sites = len(self._site_power)
        powered_id, stretch_s = gaps_s(*self._cuts_until(until_s), until_s)
        # Of nothing, bincount makes integers.
        powered_s = np.bincount(powered_id, weights=stretch_s, minlength=num_sites).astype(float)
        energy_j = np.empty(num_sites)
        gaps_of_s = self._quiet_gaps_s(until_s)
        for site_id, (power, quiet_s) in enumerate(zip(self._site_power, gaps_of_s, strict=True)):
            busy_s = powered_s[site_id] - quiet_s.sum()
            energy_j[site_id] = power.awake_w * busy_s + power.quiet_energy_j(quiet_s).sum()
        return energy_j, powered_s

    def _quiet_gaps_s(self, until_s: float) -> list[Float[np.ndarray, " gap"]]:
        """Return each site's gaps without traffic; time without power is no gap."""
        site_ids = range(len(self._site_power))
        if until_s < self._traffic.latest_s:
            entries = self.site_entries().until(until_s)
            owner_id, start_s, finish_s = self._cuts_until(until_s)
            quiet_id, gap_s = gaps_s(
                np.concatenate([owner_id, entries.owner_id]),
                np.concatenate([start_s, entries.started_at_s]),
                np.concatenate([finish_s, entries.finished_at_s]),
                until_s,
            )
            return [gap_s[quiet_id == site_id] for site_id in site_ids]
        is_past = [start_s < until_s for _, start_s, _ in self._future_cuts]
        for cut, past in zip(self._future_cuts, is_past, strict=True):
            if past:
                self._traffic.add(*cut)
        self._future_cuts = [
            cut for cut, past in zip(self._future_cuts, is_past, strict=True) if not past
        ]
        return [self._traffic.gaps_s(site_id, until_s) for site_id in site_ids]

    def _cuts_until(
        self, until_s: float
    ) -> tuple[
        Int[np.ndarray, " interval"],
        Float[np.ndarray, " interval"],
        Float[np.ndarray, " interval"],
    ]:
        """Return site, start and end of cuts until an instant, after an empty one a site at 0."""
        cuts = [cut for cut in self._cuts if cut[1] < until_s]
        opening = [(site_id, 0.0, 0.0) for site_id in range(len(self._site_power))]
        columns = np.array([*opening, *cuts], dtype=np.float64).reshape(-1, 3)
        return (
            columns[:, 0].astype(np.int64),
            columns[:, 1],
            np.minimum(columns[:, 2], until_s),
        )

    def _check_site(self, site_id: int) -> None:
        if not 0 <= site_id < len(self._site_power):
            msg = f"site_id: must be 0 to {len(self._site_power) - 1}, got {site_id}"
            raise ValueError(msg)


def _sum_by(
    owner: Literal["client", "site"],
    activities: tuple[str, ...],
    *,
    owner_id: Int[np.ndarray, " part"],
    activity: Int[np.ndarray, " part"],
    seconds: Float[np.ndarray, " part"],
    energy_j: Float[np.ndarray, " part"],
) -> list[EnergyTotal]:
    pair, position = np.unique(owner_id * len(activities) + activity, return_inverse=True)
    sum_s = np.bincount(position, weights=seconds, minlength=len(pair))
    sum_j = np.bincount(position, weights=energy_j, minlength=len(pair))
    return [
        EnergyTotal(
            owner=owner,
            owner_id=int(key) // len(activities),
            activity=activities[int(key) % len(activities)],
            seconds=float(part_s),
            energy_j=float(part_j),
        )
        for key, part_s, part_j in zip(pair, sum_s, sum_j, strict=True)
    ]
