"""Who gets which resource blocks: asks the scheduler of every cell.

The flow engine needs the mean of the answers over the time until the next solve, see
:mod:`netsim.mac.mean_shares`; the slot engine needs the answer of the instant. Blocks that clients
at their power limit do not use go to others where a scheduler looks at no rates, see
:mod:`netsim.mac.unused_blocks`. What is done with a scheduler hangs on the traits that its class
declares (:class:`netsim.mac.schedulers.view.Scheduler`), never on its name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.mac.cell_view import cell_view
from netsim.mac.demand import Demand
from netsim.mac.mean_shares import MeanShares
from netsim.mac.metric_shares import Metric, metric_shares
from netsim.mac.schedulers import CellView, SchedulerFactory, follows_fades
from netsim.mac.schedulers.metric import TIE_BREAK
from netsim.mac.unused_blocks import (
    LimitsOverTime,
    PowerLimits,
    redistribute_unused_blocks,
)

MIN_AVERAGE_FRACTION = 1e-3
"""An average rate never counts as less than this share of what an equal split would give."""


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class Grant:
    """Shares that schedulers gave, from each instant to the next, the last to the next solve."""

    shares: Float[np.ndarray, "instant bearer group"]
    """Share of each group held, on average over time."""
    activity: Float[np.ndarray, "instant bearer"]
    """Part of the time in which anything is held, in (0, 1]; ``shares / activity`` is held then.

    Below 1 when the scheduler is exclusive: who has the whole band half of the time spreads its
    power wider than who has half of the band all the time.
    """
    average_rate_bps: Float[np.ndarray, " bearer"]
    """The averages that the schedulers looked at, those of new bearers filled in."""
    in_limited_cell: Bool[np.ndarray, " bearer"] | None = None
    """Whether power limits users in the cell of each to parts of the band, and they leave the rest
    to others; ``None``: in none, or the scheduler has no metric, or the channel never changes."""

    def in_cells_of(self, bearers: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " some"] | None:
        """Return ``in_limited_cell`` of some bearers."""
        return None if self.in_limited_cell is None else self.in_limited_cell[bearers]


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class _Rates:
    """The rates that schedulers compare; ones where they look at none."""

    group_bps: Float[np.ndarray, "instant bearer group"]
    average_bps: Float[np.ndarray, " bearer"]
    floor_bps: Float[np.ndarray, " bearer"]
    """No average falls below this."""
    is_reached: Bool[np.ndarray, "instant transfer"]


class Sharing:
    """The schedulers of all cells, one instance for each cell and direction.

    Parameters
    ----------
    scheduler
        Its name, for messages.
    make
        Makes one for a cell and direction.
    slot_s
        Duration of a slot [s].
    """

    def __init__(self, scheduler: str, *, make: SchedulerFactory, slot_s: float) -> None:
        self._name = scheduler
        self._make = make
        self._slot_s = slot_s
        own = make()
        self._uses_rates: bool = getattr(own, "uses_rates", True)
        is_exclusive: bool = getattr(own, "is_exclusive", False)
        self.redistributes = is_exclusive or not self._uses_rates
        """Whether uplink blocks that some do not use go to others, so that all are used."""
        self._stays_within_headroom = is_exclusive and getattr(own, "grants_within_headroom", False)
        self._metric: Metric | None = getattr(own, "metric", None) if is_exclusive else None
        self.uses_average_rate: bool = self._uses_rates and getattr(own, "uses_average_rate", True)
        """Whether answers change with the rates served, and so without any event."""
        self.is_time_shared = self.uses_average_rate and is_exclusive
        """Whether mean shares are parts of the time in which a bearer has a group of its own."""
        self.orders_by_rates = self._uses_rates and is_exclusive and not self.uses_average_rate
        """Whether one bearer after another is served, in an order that goes with present rates."""
        self.follows_fades = follows_fades(own)
        """Whether the scheduled users change as fading does."""
        self.uses_transfers: bool = self._uses_rates or getattr(own, "uses_transfers", True)
        """Whether answers depend on more than the number of transfers."""
        self._schedulers: dict[tuple[int, int], MeanShares] = {}

    def solve(
        self,
        demand: Demand,
        *,
        now_s: float,
        duration_s: Float[np.ndarray, " instant"],
        is_averaged: bool = True,
    ) -> Grant:
        """Return the shares that the scheduler of every cell gives.

        Parameters
        ----------
        demand
            At least one transfer.
        now_s
            Simulated time.
        duration_s
            Time from each instant until the channel changes [s]; inf when it never does.
        is_averaged
            ``False`` asks for the scheduler's answer of this instant (the slot engine's).
        """
        rates = self._rates(demand)
        instants_s = np.empty(len(duration_s))
        instants_s[0] = now_s
        np.add(now_s, duration_s[:-1].cumsum(), out=instants_s[1:])
        if is_averaged and self.uses_average_rate:
            shares, activity, in_limited_cell = self._mean_shares(
                demand, rates, instants_s=instants_s, duration_s=duration_s
            )
        else:
            shares = self._shares_now(demand, rates, instants_s=instants_s)
            if self.redistributes and demand.is_limited:
                self._redistribute_unused_blocks(demand, rates, shares, instants_s=instants_s)
            activity, in_limited_cell = np.ones(shares.shape[:2]), None
        return Grant(
            shares=shares,
            activity=activity,
            average_rate_bps=rates.average_bps,
            in_limited_cell=in_limited_cell,
        )

    def _rates(self, demand: Demand) -> _Rates:
        """Return the rates that schedulers compare."""
        is_reached = demand.is_reached()
        num_instants, _, num_groups = demand.sinr_per_w.shape
        num_bearers = len(demand.first)
        if not self._uses_rates:
            ones = np.ones((num_instants, num_bearers, num_groups))
            of_bearers = ones[0, :, 0]
            return _Rates(
                group_bps=ones,
                average_bps=of_bearers,
                floor_bps=of_bearers,
                is_reached=is_reached,
            )
        group = demand.weakest(slice(0, num_bearers), demand.group_rate_bps(), is_reached)
        equal = group.sum(axis=2) / demand.contenders[demand.first]
        is_new = np.isnan(demand.average_rate_bps)
        average = np.where(is_new, equal[0], demand.average_rate_bps)
        floor = np.maximum(MIN_AVERAGE_FRACTION * equal.mean(axis=0), np.finfo(float).tiny)
        return _Rates(
            group_bps=group,
            average_bps=np.maximum(average, floor),
            floor_bps=floor,
            is_reached=is_reached,
        )

    def _mean_shares(
        self,
        demand: Demand,
        rates: _Rates,
        *,
        instants_s: Float[np.ndarray, " instant"],
        duration_s: Float[np.ndarray, " instant"],
    ) -> tuple[
        Float[np.ndarray, "instant bearer group"],
        Float[np.ndarray, "instant bearer"],
        Bool[np.ndarray, " bearer"] | None,
    ]:
        """Return mean shares and activity until the next solve, and who is in a limited cell."""
        whole = demand.transfer_rate_bps(slice(None), np.ones(len(demand.bearer)))
        alone = demand.weakest(slice(0, len(demand.first)), whole, rates.is_reached)
        limit: Float[np.ndarray, " bearer"] | float = np.inf
        if demand.backhaul_limit_bps is not None:
            limit = demand.backhaul_limit_bps
        if self._metric is not None and np.isfinite(duration_s[0]):
            limits = self._limits_over(demand, slice(0, len(demand.first)))
            shares, activity = metric_shares(
                self._metric,
                name=f"{self._name}, {_direction(demand)} of all cells",
                group_rate_bps=rates.group_bps,
                alone_bps=alone,
                average_bps=rates.average_bps,
                floor_bps=rates.floor_bps,
                backhaul_limit_bps=limit,
                cell_start=demand.cells.start,
                duration_s=duration_s,
                slot_s=self._slot_s,
                limits=limits,
            )
            limited = None if limits is None else limits.at_instant[0].in_limited_cell()
            return shares, activity, limited
        limit = np.broadcast_to(limit, rates.average_bps.shape)
        shares = np.empty_like(rates.group_bps)
        activity = np.ones(shares.shape[:2])
        for cell_id, part in _cells(demand):
            views = [
                self._view(demand, part, rates, rates.average_bps, instant=instant, at_s=at_s)
                for instant, at_s in enumerate(instants_s.tolist())
            ]
            scheduler = self._scheduler(cell_id, demand)
            if part.stop - part.start > 1:
                shares[:, part], activity[:, part] = scheduler.over(
                    views,
                    duration_s=duration_s,
                    floor_bps=rates.floor_bps[part],
                    alone_bps=alone[:, part],
                    backhaul_limit_bps=limit[part],
                    limits=self._limits_over(demand, part),
                )
            else:
                shares[:, part] = [scheduler.now(view) for view in views]
        return shares, activity, None

    def _shares_now(
        self, demand: Demand, rates: _Rates, *, instants_s: Float[np.ndarray, " instant"]
    ) -> Float[np.ndarray, "instant bearer group"]:
        """Return the answers of each instant on its own."""
        average_bps = self._apart(demand, rates)
        shares = np.empty_like(rates.group_bps)
        for cell_id, part in _cells(demand):
            scheduler = self._scheduler(cell_id, demand)
            at_once = instants_s.tolist() if self._uses_rates else [float(instants_s[0])]
            for instant, at_s in enumerate(at_once):
                view = self._view(demand, part, rates, average_bps, instant=instant, at_s=at_s)
                shares[instant:, part] = scheduler.now(view)
        return shares

    def _apart(self, demand: Demand, rates: _Rates) -> Float[np.ndarray, " bearer"]:
        """Return the averages, those of a cell told apart: in an instant one of equals is first."""
        if not self._uses_rates:
            return rates.average_bps
        return rates.average_bps * (1.0 + TIE_BREAK * demand.cells.place())

    @staticmethod
    def _view(
        demand: Demand,
        bearers: slice,
        rates: _Rates,
        average_bps: Float[np.ndarray, " bearer"],
        *,
        instant: int,
        at_s: float,
    ) -> CellView:
        return cell_view(
            demand,
            bearers,
            instant=instant,
            group_rate_bps=rates.group_bps[instant, bearers],
            average_rate_bps=average_bps[bearers],
            is_reached=rates.is_reached,
            now_s=at_s,
        )

    def _redistribute_unused_blocks(
        self,
        demand: Demand,
        rates: _Rates,
        shares: Float[np.ndarray, "instant bearer group"],
        *,
        instants_s: Float[np.ndarray, " instant"],
    ) -> None:
        """Redistribute blocks that clients at their power limit do not use, in place."""
        among = partial(self._among, demand, rates, instants_s=instants_s)
        limits = self._power_limits(demand, slice(0, len(demand.first)), slice(0, len(shares)))
        rows = shares.reshape(-1, shares.shape[2])
        shares[:] = redistribute_unused_blocks(among, rows, limits).reshape(shares.shape)

    def _among(
        self,
        demand: Demand,
        rates: _Rates,
        chosen: Bool[np.ndarray, " row"],
        *,
        instants_s: Float[np.ndarray, " instant"],
    ) -> Float[np.ndarray, "row group"]:
        """Return what the schedulers give to the chosen bearers of their cells.

        A row is a bearer at an instant; those of one instant after those of the one before.
        """
        average_bps = self._apart(demand, rates)
        answer = np.zeros(rates.group_bps.shape)
        chosen = chosen.reshape(answer.shape[:2])
        for cell_id, part in _cells(demand):
            for instant in np.flatnonzero(chosen[:, part].any(axis=1)).tolist():
                at_s = float(instants_s[instant])
                view = self._view(demand, part, rates, average_bps, instant=instant, at_s=at_s)
                scheduler = self._scheduler(cell_id, demand)
                answer[instant, part] = scheduler.among(view, chosen[instant, part])
        return answer.reshape(-1, rates.group_bps.shape[2])

    def _limits_over(self, demand: Demand, bearers: slice) -> LimitsOverTime | None:
        """Return what power lets bearers of whole cells use at each instant, if it limits some."""
        if not (self.redistributes and demand.is_limited):
            return None
        headroom = (
            demand.headroom_fraction(bearers=bearers) if self._stays_within_headroom else None
        )
        limits = LimitsOverTime(
            self._power_limits(demand, bearers, slice(0, 1)),
            use=demand.used_fraction,
            bearers=bearers,
            num_instants=len(demand.sinr_per_w),
            headroom=headroom,
        )
        return limits if limits.at_instant[0].in_limited_cell().any() else None

    def _power_limits(self, demand: Demand, bearers: slice, instants: slice) -> PowerLimits:
        """Return what power lets bearers of whole cells use, those of each instant as if apart."""
        headroom = None
        if self._stays_within_headroom:
            headroom = demand.headroom_fraction(bearers=bearers)[instants].ravel()
        return PowerLimits(
            cells=demand.cells.part(bearers).repeated(instants.stop - instants.start),
            num_groups=demand.sinr_per_w.shape[2],
            block=1.0 / demand.num_blocks,
            use=partial(demand.used_fraction, bearers=bearers, instants=instants),
            headroom=headroom,
        )

    def _scheduler(self, cell_id: int, demand: Demand) -> MeanShares:
        key = (cell_id, demand.direction)
        if key not in self._schedulers:
            name = f"{self._name}, {_direction(demand)} of cell {cell_id}"
            self._schedulers[key] = MeanShares(self._make(), name=name, slot_s=self._slot_s)
        return self._schedulers[key]


def _direction(demand: Demand) -> str:
    return "uplink" if demand.is_uplink else "downlink"


def _cells(demand: Demand) -> Iterator[tuple[int, slice]]:
    """Yield the cell and the bearers of each cell."""
    for first, last in pairwise([*demand.cells.start.tolist(), len(demand.first)]):
        yield int(demand.cell_id[demand.first[first]]), slice(first, last)
