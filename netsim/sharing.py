"""Who gets which blocks: asks the scheduler of every cell.

The flow engine needs the mean of the answers over the time until the next solve, see
:mod:`netsim.averaging`; the slot engine the answer of the instant. What clients limited in power
leave goes to others where schedulers are blind to it, see :mod:`netsim.handing_on`.
"""

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.adaptation import Contest
from netsim.air_interface import AirInterface, mean_over_groups
from netsim.averaging import AVERAGE_S, TELL_APART, MeanAnswer
from netsim.ergodic import MeanOverFading
from netsim.fair_turns import fair_turns
from netsim.handing_on import hand_on
from netsim.headroom import FULL_RTOL, together
from netsim.schedulers import CellView, load_scheduler

__all__ = ["AVERAGE_S", "Demand", "Grant", "Sharing"]

MIN_AVERAGE_FRACTION = 1e-3
"""An average rate never counts as less than this share of what an equal split would give."""

MIN_REACH = 0.2
"""A broadcast member counts as reached when its efficiency is at least this share of MCS 0's:
repeating a block up to four times still gets through. Weaker ones do not hold the others back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Transfers of one direction that want blocks now, sorted by cell, then by bearer.

    ``instant`` runs over those until the next solve at which fading is told apart, ``transfer``
    over transfers, ``bearer`` over what a scheduler sees: a transfer of its own, or the members of
    one broadcast in one cell, who share their blocks.
    """

    air: AirInterface
    direction: int
    """Index into ``DIRECTIONS``."""
    is_uplink: bool
    cell_id: Int[np.ndarray, " transfer"]
    density_w: Float[np.ndarray, " transfer"]
    """Power that open-loop control asks for in one block, before the limit [W]; uplink only."""
    sinr_per_w: Float[np.ndarray, "instant transfer group"]
    """SINR for each watt sent in one block, at the interference of the last solve."""
    first: Int[np.ndarray, " bearer"]
    """Index of the first transfer of each bearer."""
    bearer: Int[np.ndarray, " transfer"]
    """Bearer of each transfer."""
    contenders: Int[np.ndarray, " transfer"]
    """Bearers in the cell of each transfer."""
    cell_start: Int[np.ndarray, " cell"]
    """Index of the first bearer of each cell."""
    client_id: Int[np.ndarray, " bearer"]
    remaining_bits: Float[np.ndarray, " bearer"]
    requested_at_s: Float[np.ndarray, " bearer"]
    deadline_at_s: Float[np.ndarray, " bearer"]
    average_rate_bps: Float[np.ndarray, " bearer"]
    """NaN for a bearer that was never scheduled."""
    most_bps: Float[np.ndarray, " bearer"] | None = None
    """What wires let through, inf where they do not hold up: averages grow no further."""

    @property
    def element_rate_hz(self) -> float:
        """Data-carrying resource elements of one block per second in this direction."""
        air = self.air
        return air.uplink_element_rate_hz if self.is_uplink else air.downlink_element_rate_hz

    @property
    def has_groups(self) -> bool:
        """Whether some bearer serves several transfers."""
        return len(self.first) < len(self.bearer)

    def at(self, instant: int) -> "Demand":
        """Give the demand as it is at one instant."""
        return replace(self, sinr_per_w=self.sinr_per_w[instant : instant + 1])

    def block_power_w(
        self, transfers: slice, blocks: Float[np.ndarray, "... some"]
    ) -> Float[np.ndarray, "... some"]:
        """Give the power in one block of some transfers that hold so many [W]."""
        if self.is_uplink:
            return self.air.block_power_w(self.density_w[transfers], blocks)
        return np.full(blocks.shape, self.air.site_block_w)

    def used_blocks(
        self, transfers: slice, blocks: Float[np.ndarray, " some"]
    ) -> Float[np.ndarray, "... some"]:
        """Give how many of the blocks that some transfers hold they use, at each instant.

        The blocks themselves where nobody uses less.
        """
        if not (self.is_uplink and self.air.is_limited(self.density_w[transfers], blocks)):
            return blocks
        return self.air.used_blocks(
            blocks,
            density_w=self.density_w[transfers],
            sinr_per_w=mean_over_groups(self.sinr_per_w[:, transfers]),
        )

    def used_fraction(
        self, bearers: slice, held: Float[np.ndarray, " some"]
    ) -> Float[np.ndarray, " some"]:
        """Give the part of the band that uplink bearers use of what they hold.

        Who uses less uses whole blocks. At the first instant: who hands blocks on knows no other.
        """
        blocks = held * self.air.num_blocks
        if not (self.is_uplink and self.air.is_limited(self.density_w[bearers], blocks)):
            return held
        used = self.air.used_whole_blocks(
            blocks,
            density_w=self.density_w[bearers],
            sinr_per_w=mean_over_groups(self.sinr_per_w[0, bearers]),
        )
        return np.where(used < blocks, used / self.air.num_blocks, held)

    def transfer_rate_bps(
        self, transfers: slice, fraction: Float[np.ndarray, " some"]
    ) -> Float[np.ndarray, "instant some"]:
        """Give the rate of some transfers at a fraction of every group."""
        blocks = self.used_blocks(transfers, fraction * self.air.num_blocks)
        power_w = self.block_power_w(transfers, blocks)
        sinr = self.air.effective_sinr(power_w[..., None] * self.sinr_per_w[:, transfers])
        contest = self.contest(transfers)
        return self.air.rate_bps(
            sinr, blocks, element_rate_hz=self.element_rate_hz, contest=contest
        )

    def contest(self, transfers: slice, *, is_column: bool = False) -> Contest | None:
        """Describe among whom the scheduler chooses, where that decides which fades are served."""
        adaptation = self.air.adaptation
        if not adaptation.is_of_winners:
            return None
        contenders = self.contenders[transfers]
        limited = np.zeros(len(contenders))
        if isinstance(adaptation, MeanOverFading):
            limited = self._limited(transfers, contenders)
        if is_column:
            return Contest(contenders[:, None], limited[..., None])
        return Contest(contenders, limited)

    def _limited(
        self, transfers: slice, contenders: Int[np.ndarray, " some"]
    ) -> Float[np.ndarray, "... some"]:
        """Give how far power is spread thinner, see :class:`netsim.adaptation.Contest`."""
        whole = np.full(len(contenders), float(self.air.num_blocks))
        split_w, whole_w = (
            self.block_power_w(transfers, self.used_blocks(transfers, blocks))
            for blocks in (whole / contenders, whole)
        )
        crowd = np.log(np.maximum(contenders, 2))
        return np.clip(np.log(split_w / whole_w) / crowd, 0.0, 1.0)

    def on_the_air(
        self, turn: Float[np.ndarray, "instant bearer"]
    ) -> Float[np.ndarray, "instant bearer"]:
        """Give the part of the time in which bearers hold anything, from that of their turns alone.

        More where the rate is a mean over fades that differ between groups: several winners then
        hold a part of the band each. It is read at the SINR that the whole band would have.
        """
        adaptation = self.air.adaptation
        if not (isinstance(adaptation, MeanOverFading) and adaptation.has_overlap):
            return turn
        whole = np.full(len(self.bearer), float(self.air.num_blocks))
        power_w = self.block_power_w(slice(None), whole)
        sinr = self.air.effective_sinr(power_w[..., None] * self.sinr_per_w)
        overlap = adaptation.overlap(sinr, self.contest(slice(None)))[:, self.first]
        return np.minimum(turn * overlap, 1.0)

    def weakest(
        self,
        bearers: slice,
        rate: Float[np.ndarray, "instant some ..."],
        is_reached: Bool[np.ndarray, "instant some"],
    ) -> Float[np.ndarray, "instant bearer ..."]:
        """Give the rate of bearers from that of their transfers: the least of those reached."""
        if not self.has_groups:
            return rate
        start = self.first[bearers] - self.first[bearers.start]
        shape = is_reached.shape + (1,) * (rate.ndim - 2)
        counted = np.where(is_reached.reshape(shape), rate, np.inf)
        least = np.minimum.reduceat(counted, start, axis=1)
        return np.where(np.isfinite(least), least, 0.0)

    def is_reached(self) -> Bool[np.ndarray, "instant transfer"]:
        """Tell which transfers get through at all with the whole band."""
        if not self.has_groups:
            return np.ones(self.sinr_per_w.shape[:2], dtype=bool)
        whole = np.full(len(self.bearer), float(self.air.num_blocks))
        power_w = self.block_power_w(slice(None), whole)
        sinr = self.air.effective_sinr(power_w[..., None] * self.sinr_per_w)
        rates = self.air.rates
        return rates.spectral_efficiency(sinr) >= MIN_REACH * rates.mcs.spectral_efficiency[0]

    def group_rate_bps(self) -> Float[np.ndarray, "instant transfer group"]:
        """Give the rate of each transfer alone in each group, at the power of an equal split."""
        split = self.air.num_blocks / self.contenders
        used = self.used_blocks(slice(None), split)
        power_w = self.block_power_w(slice(None), used)
        sinr = power_w[..., None] * self.sinr_per_w
        return self.air.rate_bps(
            sinr,
            self.air.blocks_per_group * (used / split)[..., None],
            element_rate_hz=self.element_rate_hz,
            contest=self.contest(slice(None), is_column=True),
        )


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
        self._reads_rates: bool = getattr(law, "reads_rates", True)
        takes_turns: bool = getattr(law, "takes_turns", False)
        self._hands_on = not (self._reads_rates or takes_turns)
        self.reads_average: bool = self._reads_rates and getattr(law, "reads_average", True)
        """Whether answers change with the rates served, and so without any event."""
        self.follows_fades = self.reads_average or (self._reads_rates and takes_turns)
        """Whether who is served changes as fades do."""
        self._schedulers: dict[tuple[int, int], MeanAnswer] = {}

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
            At least one transfer; one instant only if nobody follows the fades.
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
        takes_mean = is_averaged and self.reads_average
        num_instants, _, num_groups = demand.sinr_per_w.shape
        if self._reads_rates:
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
                most = np.inf if demand.most_bps is None else demand.most_bps
                shares, activity = fair_turns(
                    group_rate,
                    alone_bps=alone,
                    average_bps=average,
                    floor_bps=floor,
                    most_bps=most,
                    cell_start=start,
                    duration_s=duration_s,
                    slot_s=self._slot_s,
                )
                return Grant(
                    shares=shares,
                    activity=demand.on_the_air(activity),
                    average_rate_bps=average,
                    is_used=self._hands_on,
                )
        instants_s = [now_s, *(now_s + duration_s[:-1].cumsum()).tolist()]
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
                    most_bps=np.inf if demand.most_bps is None else demand.most_bps[part],
                )
            else:
                shares[:, part] = [scheduler.now(view) for view in views]
        if takes_mean:
            activity = demand.on_the_air(activity)
        if demand.is_uplink and self._hands_on:
            self._hand_on(demand, [views[0] for views in views_of_cells], start, shares[0])
        return Grant(
            shares=shares,
            activity=activity,
            average_rate_bps=average,
            is_used=self._hands_on,
        )

    def _hand_on(
        self,
        demand: Demand,
        views: list[CellView],
        start: Int[np.ndarray, " cell"],
        shares: Float[np.ndarray, "bearer group"],
    ) -> None:
        """Hand on, in place, what clients at the limit of their power do not use.

        Who hands on reads no rates, so there is one instant.
        """
        held, _ = together(demand.client_id, mean_over_groups(shares), np.ones(len(shares)))
        used = demand.used_fraction(slice(None), held)
        if used is held:
            return
        is_over = used < held * (1 - FULL_RTOL)
        cut = shares * np.where(is_over, used / np.where(is_over, held, 1.0), 1.0)[:, None]
        block = 1.0 / demand.air.num_blocks
        rest = 1.0 - np.add.reduceat(mean_over_groups(cut), start)
        hands_on = np.logical_or.reduceat(is_over, start)
        hands_on &= ~np.logical_and.reduceat(is_over, start)
        hands_on &= rest >= block * (1 - FULL_RTOL)
        before = shares.copy()
        shares[:] = cut  # where nobody takes what is left, that is all
        for place in np.flatnonzero(hands_on).tolist():
            view, first = views[place], int(start[place])
            part = slice(first, first + len(view.client_id))
            shares[part] = hand_on(
                self._scheduler(int(demand.cell_id[first]), demand.direction).now,
                view,
                before[part],
                use=partial(demand.used_fraction, part),
                block=block,
            )

    def _scheduler(self, cell_id: int, direction: int) -> MeanAnswer:
        key = (cell_id, direction)
        if key not in self._schedulers:
            self._schedulers[key] = MeanAnswer(
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
