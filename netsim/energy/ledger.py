"""Who spent how many joules on what, and when.

Every entry is an interval of constant power with an owner and an activity. Two kinds of energy are
not entries but follow from them in closed form when asked for, so they cost no events:

* the *tail* of a client's radio after its transfers (listening, DRX, release), booked as ``idle``.
  Standby before a client's first transfer and after the release is not counted: the federation
  does not cause it, and clients that never take part cost nothing;
* the *base load* of every site, from instant 0 on, but for its outages: then its power is cut (our
  choice), so it draws nothing at all. It comes back awake.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from netsim.energy.site_energy import SitePower
from netsim.energy.ue_energy import UePower

CLIENT_ACTIVITIES = ("tx", "rx", "idle", "compute")
RADIO_ACTIVITIES = ("tx", "rx", "idle")
SITE_ACTIVITIES = ("tx", "rx", "base")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTotal:
    """What one owner spent on one activity up to an instant: one row of ``energy.csv``."""

    owner: Literal["client", "site"]
    owner_id: int
    activity: str
    seconds: float
    energy_j: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Booked intervals as columns, in the order of booking."""

    owner_id: Int[np.ndarray, " entry"]
    activity: Int[np.ndarray, " entry"]
    """Index into the activities of the owner's kind."""
    started_at_s: Float[np.ndarray, " entry"]
    finished_at_s: Float[np.ndarray, " entry"]
    power_w: Float[np.ndarray, " entry"]

    def until(self, until_s: float) -> "Entries":
        """Cut everything off at an instant."""
        kept = self.started_at_s < until_s
        return Entries(
            owner_id=self.owner_id[kept],
            activity=self.activity[kept],
            started_at_s=self.started_at_s[kept],
            finished_at_s=np.minimum(self.finished_at_s[kept], until_s),
            power_w=self.power_w[kept],
        )

    @property
    def seconds(self) -> Float[np.ndarray, " entry"]:
        """Length of each interval."""
        return self.finished_at_s - self.started_at_s

    @property
    def energy_j(self) -> Float[np.ndarray, " entry"]:
        """Power times time of each."""
        return self.power_w * self.seconds

    def of(self, chosen: np.ndarray) -> "Entries":
        """Keep the entries marked True."""
        return Entries(
            owner_id=self.owner_id[chosen],
            activity=self.activity[chosen],
            started_at_s=self.started_at_s[chosen],
            finished_at_s=self.finished_at_s[chosen],
            power_w=self.power_w[chosen],
        )


class _Book:
    """Append-only columns of one kind of owner."""

    def __init__(self, activities: tuple[str, ...]) -> None:
        self._code = {name: code for code, name in enumerate(activities)}
        self._owner_id = array("q")
        self._activity = array("b")
        self._started_at_s = array("d")
        self._finished_at_s = array("d")
        self._power_w = array("d")

    def append(
        self,
        owner_id: int,
        activity: str,
        started_at_s: float,
        finished_at_s: float,
        power_w: float,
    ) -> None:
        if activity not in self._code:
            msg = f"activity: must be one of {', '.join(self._code)}, got {activity!r}"
            raise ValueError(msg)
        # Written so that NaN fails too.
        if not 0 <= started_at_s <= finished_at_s < np.inf:
            msg = f"interval: must be 0 <= start <= end, got {started_at_s} to {finished_at_s} s"
            raise ValueError(msg)
        if not 0 <= power_w < np.inf:
            msg = f"power_w: must be >= 0 and finite, got {power_w} for {activity} of {owner_id}"
            raise ValueError(msg)
        if finished_at_s == started_at_s:
            return
        self._owner_id.append(owner_id)
        self._activity.append(self._code[activity])
        self._started_at_s.append(started_at_s)
        self._finished_at_s.append(finished_at_s)
        self._power_w.append(power_w)

    def entries(self) -> Entries:
        return Entries(
            owner_id=np.array(self._owner_id, dtype=np.int64),
            activity=np.array(self._activity, dtype=np.int64),
            started_at_s=np.array(self._started_at_s, dtype=np.float64),
            finished_at_s=np.array(self._finished_at_s, dtype=np.float64),
            power_w=np.array(self._power_w, dtype=np.float64),
        )


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
        self._clients = _Book(CLIENT_ACTIVITIES)
        self._sites = _Book(SITE_ACTIVITIES)
        self._cuts: list[tuple[int, float, float]] = []

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
            ``tx``, ``rx``, ``idle`` (in a transfer without a turn) or ``compute``. The first three
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
        self._clients.append(client_id, activity, started_at_s, finished_at_s, power_w)

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
        self._sites.append(site_id, activity, started_at_s, finished_at_s, power_w)

    def client_entries(self) -> Entries:
        """Everything booked to clients; activity is an index into ``CLIENT_ACTIVITIES``."""
        return self._clients.entries()

    def site_entries(self) -> Entries:
        """Everything booked to sites; activity is an index into ``SITE_ACTIVITIES``."""
        return self._sites.entries()

    def client_energy_j(self, until_s: float) -> float:
        """Sum of what all clients spent up to an instant, radio (with tails) and compute."""
        entries = self.client_entries().until(until_s)
        return float(entries.energy_j.sum() + self._tails(entries, until_s)[1].sum())

    def site_energy_j(self, until_s: float) -> float:
        """Sum of what all sites drew up to an instant: base load and radiation."""
        entries = self.site_entries().until(until_s)
        return float(entries.energy_j.sum() + self._base_loads(entries, until_s)[0].sum())

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
        base_j, powered_s = self._base_loads(entries, until_s)
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
        self, entries: Entries, until_s: float
    ) -> tuple[Float[np.ndarray, " site"], Float[np.ndarray, " site"]]:
        """Give each site's base load [J] and its time with power [s].

        Awake while it carries traffic, else as its model says, nothing without power.
        """
        num_sites = len(self._site_power)
        # An empty interval at 0 opens the gap before a site's first traffic.
        owner_id = np.arange(num_sites)
        start_s, finish_s = np.zeros(num_sites), np.zeros(num_sites)
        cuts = [cut for cut in self._cuts if cut[1] < until_s]
        if cuts:
            cut_id, cut_start_s, cut_finish_s = (
                np.array(column) for column in zip(*cuts, strict=True)
            )
            owner_id = np.concatenate([owner_id, cut_id])
            start_s = np.concatenate([start_s, cut_start_s])
            finish_s = np.concatenate([finish_s, np.minimum(cut_finish_s, until_s)])
        powered_id, stretch_s = gaps_s(owner_id, start_s, finish_s, until_s)
        # Of nothing, bincount makes integers.
        powered_s = np.bincount(powered_id, weights=stretch_s, minlength=num_sites).astype(float)
        quiet_id, gap_s = gaps_s(
            np.concatenate([owner_id, entries.owner_id]),
            np.concatenate([start_s, entries.started_at_s]),
            np.concatenate([finish_s, entries.finished_at_s]),
            until_s,
        )
        energy_j = np.empty(num_sites)
        for site_id, power in enumerate(self._site_power):
            quiet_s = gap_s[quiet_id == site_id]
            busy_s = powered_s[site_id] - quiet_s.sum()
            energy_j[site_id] = power.awake_w * busy_s + power.quiet_energy_j(quiet_s).sum()
        return energy_j, powered_s

    def _check_site(self, site_id: int) -> None:
        if not 0 <= site_id < len(self._site_power):
            msg = f"site_id: must be 0 to {len(self._site_power) - 1}, got {site_id}"
            raise ValueError(msg)


def gaps_s(
    owner_id: Int[np.ndarray, " entry"],
    started_at_s: Float[np.ndarray, " entry"],
    finished_at_s: Float[np.ndarray, " entry"],
    until_s: float,
) -> tuple[Int[np.ndarray, " gap"], Float[np.ndarray, " gap"]]:
    """Find the time between the intervals of each owner, and from its last to ``until_s``.

    Intervals may overlap and come in any order; none may end after ``until_s``. There is no gap
    before an owner's first interval.

    Returns
    -------
    tuple
        Owner and length [s] of every gap, by owner, then by time; lengths are > 0.
    """
    num = len(owner_id)
    order = np.lexsort((started_at_s, owner_id))
    owner, start, finish = owner_id[order], started_at_s[order], finished_at_s[order]
    is_last = np.append(owner[1:] != owner[:-1], np.ones(min(num, 1), dtype=bool))
    # Running maximum of the ends within each owner, on integer ranks so that nothing is rounded.
    by_finish = np.argsort(finish, kind="stable")
    rank = np.empty(num, dtype=np.int64)
    rank[by_finish] = np.arange(num)
    offset = num * np.append(np.zeros(min(num, 1), dtype=np.int64), np.cumsum(is_last[:-1]))
    reached_s = finish[by_finish][np.maximum.accumulate(rank + offset) - offset]
    next_start_s = np.where(is_last, until_s, np.append(start[1:], np.full(min(num, 1), until_s)))
    gap_s = next_start_s - reached_s
    is_gap = gap_s > 0
    return owner[is_gap], gap_s[is_gap]


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
