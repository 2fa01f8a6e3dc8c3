"""Who spent how many joules on what, and when.

Every entry is an interval of constant power with an owner and an activity. Two kinds of energy are
not entries but follow from them in closed form when asked for, so they cost no events:

* the *tail* of a client's radio after its transfers (listening, DRX, release), booked as ``idle``.
  Standby before a client's first transfer and after the release is not counted: the federation
  does not cause it, and clients that never take part cost nothing;
* the *base load* of every site, from instant 0 on, but for its outages: then its power is cut (our
  choice), so it draws nothing at all. It comes back awake.

Sums run along while entries are booked, those over gaps by what :class:`BusyTime` tells of them:
what was spent up to now is told without reading the entries again, in a time that does not grow
with them. What was spent up to an instant before the end of some entry is replayed from the
entries; sums are exact, so both give the same to the bit.

Memory does not grow with time: :meth:`Ledger.settle` sums up past entries, of which then only the
last of each radio is kept.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from netsim.energy.busy_time import BusyTime, gaps_s
from netsim.energy.entries import Entries, EntryColumns
from netsim.energy.exact_sum import ExactSum
from netsim.energy.settled import Settled
from netsim.energy.site_energy import SitePower
from netsim.energy.tails import RadioTail, tails, tails_between
from netsim.energy.totals import EnergyTotal, sum_by

CLIENT_ACTIVITIES = ("tx", "rx", "idle", "compute")
SITE_ACTIVITIES = ("tx", "rx", "base")
_COMPUTE, _IDLE = (CLIENT_ACTIVITIES.index(name) for name in ("compute", "idle"))

MOST_ENTRIES = 50_000
"""Entries that are kept one by one until :meth:`Ledger.settle` sums them up (1.7 MB)."""


class Ledger:
    """The joules of one run.

    Parameters
    ----------
    ue_power
        Power model of the clients' radios; gives the tail.
    site_power
        Power model of each site, in the order of site ids; gives the base load.
    """

    def __init__(self, *, ue_power: RadioTail, site_power: Sequence[SitePower]) -> None:
        self._ue_power = ue_power
        self._site_power = tuple(site_power)
        self._clients = EntryColumns(CLIENT_ACTIVITIES)
        self._sites = EntryColumns(SITE_ACTIVITIES)
        self._cuts: list[tuple[int, float, float]] = []
        self._future_cuts: list[tuple[int, float, float]] = []
        self._radio, self._traffic = BusyTime(), BusyTime()
        self._settled_clients, self._settled_sites = Settled(), Settled()
        # Without the gap after an owner's last interval, which is still open.
        self._client_j: defaultdict[int, ExactSum] = defaultdict(ExactSum)
        self._spent_j = ExactSum()
        self._radiated_j = ExactSum()
        self._quiet_s = [ExactSum() for _ in self._site_power]
        self._quiet_j = [ExactSum() for _ in self._site_power]
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
        of_client = self._client_j[client_id]
        energy_j = power_w * (finished_at_s - started_at_s)
        of_client.add(energy_j)
        self._spent_j.add(energy_j)
        if activity == "compute":
            return
        change = self._radio.add(client_id, started_at_s, finished_at_s)
        for sign, of_gaps_s in ((-1, change.closed_s), (1, change.opened_s)):
            for gap_s in of_gaps_s:
                tail_j = sign * float(self._ue_power.tail_energy_j(gap_s))
                of_client.add(tail_j)
                self._spent_j.add(tail_j)

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
            self._radiated_j.add(power_w * (finished_at_s - started_at_s))
            self._add_traffic(site_id, started_at_s, finished_at_s)

    def settle(self) -> None:
        """Sum up all entries where there are many of them (``MOST_ENTRIES``).

        From then on nothing is told of instants before the end of the last one, and no radio or
        site may be booked from earlier on.
        """
        if len(self._clients) + len(self._sites) <= MOST_ENTRIES:
            return
        until_s = max(self._clients.latest_s, self._sites.latest_s, self._traffic.latest_start_s)
        self._quiet(until_s)  # notes the power cuts up to there
        entries = self._clients.entries()
        is_radio = entries.activity != _COMPUTE
        radio = entries.of(is_radio)
        owner_id, tail_s, tail_j = tails_between(radio, self._ue_power)
        self._settled_clients.add(owner_id, np.full(len(owner_id), _IDLE), tail_s, tail_j)
        # The tail of the last entry of a radio goes on.
        chosen = np.ones(len(entries.owner_id), dtype=bool)
        chosen[np.flatnonzero(is_radio)[radio.last_of_each()]] = False
        self._settled_clients.add_entries(self._clients.take_out(chosen))
        self._settled_sites.add_entries(self._sites.take_out(np.ones(len(self._sites), dtype=bool)))
        self._radio.forget(until_s)
        self._traffic.forget(until_s)

    def radio_gap_s(self, client_id: int, at_s: float) -> float:
        """Return how long ago a client's radio was last booked [s]; inf if it never was."""
        return self._radio.gap_s(client_id, at_s)

    def client_entries(self) -> Entries:
        """Return what is booked to clients and not summed up; see ``CLIENT_ACTIVITIES``."""
        return self._clients.entries()

    def site_entries(self) -> Entries:
        """Return what is booked to sites and not summed up; see ``SITE_ACTIVITIES``."""
        return self._sites.entries()

    def client_energy_j(
        self, client_ids: Int[np.ndarray, " client"], at_s: float
    ) -> Float[np.ndarray, " client"]:
        """Return what some clients spent up to an instant, each its radio (with tails) and compute.

        Parameters
        ----------
        client_ids
            Whose, in any order; a client that never took part spent nothing.
        at_s
            The instant [s].
        """
        ids = np.asarray(client_ids, dtype=np.int64).tolist()
        if at_s < self._clients.latest_s:
            owner_id, energy_j = self._client_parts(at_s)
            return np.array([math.fsum(energy_j[owner_id == each]) for each in ids])
        open_j = self._ue_power.tail_energy_j(self._radio.open_gaps_s(ids, at_s))
        booked = [self._client_j.get(each) for each in ids]
        return np.array(
            [
                0.0 if sum_j is None else sum_j.value(tail_j)
                for sum_j, tail_j in zip(booked, open_j.tolist(), strict=True)
            ]
        )

    def total_energy_j(self, at_s: float) -> float:
        """Sum what all clients spent up to an instant, radio (with tails) and compute."""
        if at_s < self._clients.latest_s:
            return math.fsum(self._client_parts(at_s)[1])
        open_s = self._radio.open_gaps_s(self._radio.owners(), at_s)
        open_j = self._ue_power.tail_energy_j(open_s).tolist()
        return self._spent_j.value(*open_j)

    def site_energy_j(self, at_s: float) -> float:
        """Sum what all sites drew up to an instant: base load and radiation."""
        base_j = self._base_loads(at_s)[0].tolist()
        if at_s < self._sites.latest_s:
            self._check_kept(at_s)
            return math.fsum([*self.site_entries().until(at_s).energy_j, *base_j])
        return self._radiated_j.value(*base_j)

    def totals(self, until_s: float) -> list[EnergyTotal]:
        """Seconds and joules by owner and activity up to an instant, clients first, then by id.

        ``idle`` of a client includes its tails, ``base`` of a site is its whole base load over the
        time that it had power. Clients that spent nothing are left out.
        """
        return [*self._client_totals(until_s), *self._site_totals(until_s)]

    def _client_totals(self, until_s: float) -> list[EnergyTotal]:
        if until_s < self._clients.latest_s:
            self._check_kept(until_s)
        entries = self.client_entries().until(until_s)
        owner_id, tail_s, tail_j = tails(
            entries.of(entries.activity != _COMPUTE), self._ue_power, until_s=until_s
        )
        tail_code = np.full(len(owner_id), _IDLE)
        past_id, past_code, past_s, past_j = self._settled_clients.sums()
        return sum_by(
            "client",
            CLIENT_ACTIVITIES,
            owner_id=np.concatenate([past_id, entries.owner_id, owner_id]),
            activity=np.concatenate([past_code, entries.activity, tail_code]),
            seconds=np.concatenate([past_s, entries.seconds, tail_s]),
            energy_j=np.concatenate([past_j, entries.energy_j, tail_j]),
        )

    def _site_totals(self, until_s: float) -> list[EnergyTotal]:
        if until_s < self._sites.latest_s:
            self._check_kept(until_s)
        entries = self.site_entries().until(until_s)
        past_id, past_code, past_s, past_j = self._settled_sites.sums()
        num_sites = len(self._site_power)
        base_code = np.full(num_sites, SITE_ACTIVITIES.index("base"))
        base_j, powered_s = self._base_loads(until_s)
        return sum_by(
            "site",
            SITE_ACTIVITIES,
            owner_id=np.concatenate([past_id, entries.owner_id, np.arange(num_sites)]),
            activity=np.concatenate([past_code, entries.activity, base_code]),
            seconds=np.concatenate([past_s, entries.seconds, powered_s]),
            energy_j=np.concatenate([past_j, entries.energy_j, base_j]),
        )

    def _client_parts(
        self, until_s: float
    ) -> tuple[Int[np.ndarray, " part"], Float[np.ndarray, " part"]]:
        """Return owner and energy of every entry and every tail up to an instant."""
        self._check_kept(until_s)
        entries = self.client_entries().until(until_s)
        owner_id, _, tail_j = tails(
            entries.of(entries.activity != _COMPUTE), self._ue_power, until_s=until_s
        )
        return (
            np.concatenate([entries.owner_id, owner_id]),
            np.concatenate([entries.energy_j, tail_j]),
        )

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
        awake_w = np.array([power.awake_w for power in self._site_power])
        quiet_s, quiet_j = self._quiet(until_s)
        return awake_w * (powered_s - quiet_s) + quiet_j, powered_s

    def _quiet(
        self, until_s: float
    ) -> tuple[Float[np.ndarray, " site"], Float[np.ndarray, " site"]]:
        """Return each site's time without traffic [s] and what it draws then [J].

        Time without power is no such time.
        """
        if until_s < self._traffic.latest_start_s:
            return self._replay_quiet(until_s)
        is_past = [start_s < until_s for _, start_s, _ in self._future_cuts]
        for cut, past in zip(self._future_cuts, is_past, strict=True):
            if past:
                self._add_traffic(*cut)
        self._future_cuts = [
            cut for cut, past in zip(self._future_cuts, is_past, strict=True) if not past
        ]
        open_s = self._traffic.open_gaps_s(range(len(self._site_power)), until_s).tolist()
        sites = list(zip(self._site_power, open_s, strict=True))
        open_j = [float(power.quiet_energy_j(gap_s)) for power, gap_s in sites]
        return (
            np.array([each.value(gap) for each, gap in zip(self._quiet_s, open_s, strict=True)]),
            np.array([each.value(gap) for each, gap in zip(self._quiet_j, open_j, strict=True)]),
        )

    def _replay_quiet(
        self, until_s: float
    ) -> tuple[Float[np.ndarray, " site"], Float[np.ndarray, " site"]]:
        """Return the same from all entries and cuts."""
        self._check_kept(until_s)
        entries = self.site_entries().until(until_s)
        owner_id, start_s, finish_s = self._cuts_until(until_s)
        quiet_id, gap_s = gaps_s(
            np.concatenate([owner_id, entries.owner_id]),
            np.concatenate([start_s, entries.started_at_s]),
            np.concatenate([finish_s, entries.finished_at_s]),
            until_s,
        )
        of_sites = [gap_s[quiet_id == site_id] for site_id in range(len(self._site_power))]
        sites = list(zip(self._site_power, of_sites, strict=True))
        return (
            np.array([math.fsum(gap_s) for gap_s in of_sites]),
            np.array([math.fsum(power.quiet_energy_j(gap_s)) for power, gap_s in sites]),
        )

    def _add_traffic(self, site_id: int, started_at_s: float, finished_at_s: float) -> None:
        """Note that a site was not quiet over an interval."""
        change = self._traffic.add(site_id, started_at_s, finished_at_s)
        power = self._site_power[site_id]
        for sign, of_gaps_s in ((-1, change.closed_s), (1, change.opened_s)):
            for gap_s in of_gaps_s:
                self._quiet_s[site_id].add(sign * gap_s)
                self._quiet_j[site_id].add(sign * float(power.quiet_energy_j(gap_s)))

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

    def _check_kept(self, at_s: float) -> None:
        """Refuse to tell of an instant whose entries may be summed up."""
        if self._settled_clients or self._settled_sites:
            latest_s = max(self._clients.latest_s, self._sites.latest_s)
            msg = f"at_s: must be {latest_s} or later, got {at_s}: earlier entries are summed up"
            raise ValueError(msg)

    def _check_site(self, site_id: int) -> None:
        if not 0 <= site_id < len(self._site_power):
            msg = f"site_id: must be 0 to {len(self._site_power) - 1}, got {site_id}"
            raise ValueError(msg)
