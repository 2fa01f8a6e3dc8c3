"""Who gets which blocks: asks the scheduler of every cell.

The flow engine needs the mean of the answers over the time until the next solve, see
:mod:`netsim.mac.mean_shares`; the slot engine the answer of the instant. What clients limited in
power leave goes to others where schedulers are blind to it, see :mod:`netsim.mac.unused_blocks`.
"""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.mac.demand import Demand
from netsim.mac.mean_shares import TELL_APART, MeanShares
from netsim.mac.proportional_fair_shares import proportional_fair_shares
from netsim.mac.schedulers import CellView, load_scheduler
from netsim.mac.unused_blocks import redistribute_unused_blocks
from netsim.phy.effective_sinr import mean_over_groups
from netsim.phy.power_headroom import FULL_RTOL, per_transmitter

MIN_AVERAGE_FRACTION = 1e-3
"""An average rate never counts as less than this share of what an equal split would give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What the schedulers gave out, from each instant to the next, the last to the next solve."""

    shares: Float[np.ndarray, "instant bearer group"]
    """Share of each group held, on average over time."""
    activity: Float[np.ndarray, "instant bearer"]
    """Part of the time in which anything is held, in (0, 1]; ``shares / activity`` is held then.

    Below 1 when the scheduler serves winners in turn: who has the whole band half of the time
    spreads its power wider than who has half of the band all the time.
    """
    average_rate_bps: Float[np.ndarray, " bearer"]
    """The averages that were decided on, those of newcomers filled in."""
    is_used: bool
    """Whether everybody uses all that it holds, however limited in power."""


class Sharing:
    """The schedulers of all cells, one instance for each cell and direction.

    Parameters
    ----------
    scheduler
        Name of a built-in, or ``path.py:Class``.
    slot_s
        Duration of a slot [s].
    """

    def __init__(self, scheduler: str, *, slot_s: float) -> None:
        self._name = scheduler
        self._slot_s = slot_s
        self._is_fair = scheduler == "proportional_fair"
        law = load_scheduler(scheduler)
        self._uses_rates: bool = getattr(law, "uses_rates", True)
        is_exclusive: bool = getattr(law, "is_exclusive", False)
        self._redistributes = not (self._uses_rates or is_exclusive)
        self.uses_average_rate: bool = self._uses_rates and getattr(law, "uses_average_rate", True)
        """Whether answers change with the rates served, and so without any event."""
        self.is_time_shared = self.uses_average_rate and is_exclusive
        """Whether mean shares are parts of the time, each with a group of its own."""
        self.follows_fades = self.uses_average_rate or (self._uses_rates and is_exclusive)
        """Whether who is served changes as fades do."""
        self._schedulers: dict[tuple[int, int], MeanShares] = {}

    def solve(
        self,
        demand: Demand,
        *,
        now_s: float,
        duration_s: Float[np.ndarray, " instant"],
        is_averaged: bool = True,
    ) -> Grant:
        """Ask the scheduler of every cell.

        Parameters
        ----------
        demand
            At least one transfer; a single instant unless :attr:`follows_fades`.
        now_s
            Simulated time.
        duration_s
            Time from each instant until the channel changes; inf when it never does.
        is_averaged
            ``False`` gives the scheduler's answer of this instant (the slot engine's).

        Returns
        -------
        Grant
            For every bearer.
        """
        is_reached = demand.is_reached()
        cell = demand.cell_id[demand.first]
        start = demand.cell_start
        every = slice(0, len(cell))
        takes_mean = is_averaged and self.uses_average_rate
        num_instants, _, num_groups = demand.sinr_per_w.shape
        if self._uses_rates:
            group_rate = demand.weakest(every, demand.group_rate_bps(), is_reached)
            equal = group_rate.sum(axis=2) / demand.contenders[demand.first]
            is_new = np.isnan(demand.average_rate_bps)
            average = np.where(is_new, equal[0], demand.average_rate_bps)
            floor = np.maximum(MIN_AVERAGE_FRACTION * equal.mean(axis=0), np.finfo(float).tiny)
            average = np.maximum(average, floor)
            # In an instant one of equals comes first; over time they share alike.
            seen = average
            if not takes_mean:
                place = np.arange(len(cell)) - start.repeat(np.diff(start, append=len(cell)))
                seen = average * (1.0 + TELL_APART * place)
        else:  # nobody asked for them: only their shape is looked at
            group_rate = np.ones((num_instants, len(cell), num_groups))
            average = seen = floor = np.ones(len(cell))
        if takes_mean:
            whole = demand.transfer_rate_bps(slice(None), np.ones(len(demand.bearer)))
            alone = demand.weakest(every, whole, is_reached)
            if self._is_fair and np.isfinite(duration_s[0]):
                most = np.inf if demand.backhaul_limit_bps is None else demand.backhaul_limit_bps
                shares, activity = proportional_fair_shares(
                    group_rate,
                    alone_bps=alone,
                    average_bps=average,
                    floor_bps=floor,
                    backhaul_limit_bps=most,
                    cell_start=start,
                    duration_s=duration_s,
                    slot_s=self._slot_s,
                )
                return Grant(
                    shares=shares,
                    activity=demand.on_the_air(activity),
                    average_rate_bps=average,
                    is_used=self._redistributes,
                )
        instants_s = [now_s]
        if num_instants > 1:
            instants_s += (now_s + duration_s[:-1].cumsum()).tolist()
        shares = np.empty_like(group_rate)
        activity = np.ones(shares.shape[:2])
        views_of_cells = []
        for first, last in pairwise([*start.tolist(), len(cell)]):
            part = slice(first, last)
            views = [
                _view(
                    demand,
                    part,
                    instant=instant,
                    group_rate_bps=group_rate[instant, part],
                    average_rate_bps=seen[part],
                    is_reached=is_reached[instant : instant + 1],
                    now_s=at_s,
                )
                for instant, at_s in enumerate(instants_s)
            ]
            views_of_cells.append(views)
            scheduler = self._scheduler(int(cell[first]), demand.direction)
            if takes_mean and last - first > 1:
                shares[:, part], activity[:, part] = scheduler.over(
                    views,
                    duration_s=duration_s,
                    floor_bps=floor[part],
                    alone_bps=alone[:, part],
                    backhaul_limit_bps=np.inf
                    if demand.backhaul_limit_bps is None
                    else demand.backhaul_limit_bps[part],
                )
            else:
                shares[:, part] = [scheduler.now(view) for view in views]
        if takes_mean:
            activity = demand.on_the_air(activity)
        if demand.is_uplink and self._redistributes:
            self._redistribute_unused_blocks(
                demand, [views[0] for views in views_of_cells], start, shares[0]
            )
        return Grant(
            shares=shares,
            activity=activity,
            average_rate_bps=average,
            is_used=self._redistributes,
        )

    def _redistribute_unused_blocks(
        self,
        demand: Demand,
        views: list[CellView],
        start: Int[np.ndarray, " cell"],
        shares: Float[np.ndarray, "bearer group"],
    ) -> None:
        """Hand on, in place, what clients at the limit of their power do not use.

        Who hands on reads no rates, so there is one instant.
        """
        held, _ = per_transmitter(demand.client_id, mean_over_groups(shares), np.ones(len(shares)))
        used = demand.used_fraction(slice(None), held)
        if used is held:
            return
        is_over = used < held * (1 - FULL_RTOL)
        cut = shares * np.where(is_over, used / np.where(is_over, held, 1.0), 1.0)[:, None]
        block = 1.0 / demand.air.num_blocks
        rest = 1.0 - np.add.reduceat(mean_over_groups(cut), start)
        redistributes = np.logical_or.reduceat(is_over, start)
        redistributes &= ~np.logical_and.reduceat(is_over, start)
        redistributes &= rest >= block * (1 - FULL_RTOL)
        before = shares.copy()
        shares[:] = cut  # where nobody takes what is left, that is all
        for place in np.flatnonzero(redistributes).tolist():
            view, first = views[place], int(start[place])
            part = slice(first, first + len(view.client_id))
            shares[part] = redistribute_unused_blocks(
                self._scheduler(int(demand.cell_id[first]), demand.direction).now,
                view,
                before[part],
                use=partial(demand.used_fraction, part),
                block=block,
            )

    def _scheduler(self, cell_id: int, direction: int) -> MeanShares:
        key = (cell_id, direction)
        if key not in self._schedulers:
            self._schedulers[key] = MeanShares(
                load_scheduler(self._name), name=self._name, slot_s=self._slot_s
            )
        return self._schedulers[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class _CellDemand:
    """The part of a demand that one cell's scheduler sees at an instant."""

    demand: Demand
    instant: int
    bearers: slice
    transfers: slice
    is_reached: Bool[np.ndarray, "1 transfer"]

    def rate_bps(self, fraction: Float[np.ndarray, " bearer"]) -> Float[np.ndarray, " bearer"]:
        """Give the rate of each bearer at a fraction of every group."""
        demand = self.demand.at(self.instant)
        rate = demand.transfer_rate_bps(self.transfers, fraction[self._local])
        return demand.weakest(self.bearers, rate, self.is_reached)[0]

    def power_w(self, fraction: Float[np.ndarray, " bearer"]) -> Float[np.ndarray, " bearer"]:
        """Give the power radiated for each bearer at a fraction of every group."""
        demand = self.demand.at(self.instant)
        granted = (fraction * demand.air.num_blocks)[self._local]
        blocks = demand.used_blocks(self.transfers, granted)
        heads = demand.first[self.bearers] - self.transfers.start
        return (blocks * demand.block_power_w(self.transfers, blocks))[..., heads].reshape(-1)

    @property
    def _local(self) -> Int[np.ndarray, " transfer"]:
        """Bearer of each transfer, counted within the cell."""
        return self.demand.bearer[self.transfers] - self.bearers.start


def _view(
    demand: Demand,
    bearers: slice,
    *,
    instant: int,
    group_rate_bps: Float[np.ndarray, "bearer group"],
    average_rate_bps: Float[np.ndarray, " bearer"],
    is_reached: Bool[np.ndarray, "1 transfer"],
    now_s: float,
) -> CellView:
    last = demand.first[bearers.stop] if bearers.stop < len(demand.first) else len(demand.bearer)
    transfers = slice(int(demand.first[bearers.start]), int(last))
    part = _CellDemand(
        demand=demand,
        instant=instant,
        bearers=bearers,
        transfers=transfers,
        is_reached=is_reached[:, transfers],
    )
    return CellView(
        now_s=now_s,
        client_id=demand.client_id[bearers],
        remaining_bits=demand.remaining_bits[bearers],
        requested_at_s=demand.requested_at_s[bearers],
        deadline_at_s=demand.deadline_at_s[bearers],
        group_rate_bps=group_rate_bps,
        average_rate_bps=average_rate_bps,
        rate_bps=part.rate_bps,
        power_w=part.power_w,
    )
