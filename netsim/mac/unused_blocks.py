"""Uplink blocks that clients limited in power do not use go to the others of their cell.

A scheduler answers as if everybody could use what it gives. Where a client cannot (see
:mod:`netsim.phy.power_headroom`), the scheduler is asked again about the others, who get what is
left by the same rule: round robin evenly, an exclusive scheduler to the next in its order, so that
several users are multiplexed in frequency. This is repeated until less than a block is left or
nobody can use more.

How many blocks a client uses depends on the scheduler. By default as many as raise its rate: who
comes first is served as fast as its power allows, however little the last blocks add. A scheduler
that declares ``grants_within_headroom`` gives nobody more blocks than its power headroom covers,
that is, than it sends in at the full power of power control, as long as others can have them. What
is left when all are at this limit is divided among those who hold blocks, in proportion to what
they hold; they spread their power over more of them.

Equal finish and other schedulers that look at rates and are not exclusive are not asked again: they
see what a fraction is worth to whom and have decided so.

References
----------
Power headroom reports (TS 38.321 clause 6.1.3.8, as recollected) are there for this; the rule
itself is a scheduler's own affair and not in any standard. This one is our choice.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from netsim.mac.bearer_cells import BearerCells
from netsim.mac.schedulers.view import CellView
from netsim.phy.effective_sinr import mean_over_groups
from netsim.phy.power_headroom import FULL_RTOL

Ask = Callable[[Bool[np.ndarray, " bearer"]], Float[np.ndarray, "bearer group"]]
Use = Callable[
    [Float[np.ndarray, " bearer"], Float[np.ndarray, "bearer group"]], Float[np.ndarray, " bearer"]
]


class UseAt(Protocol):
    """Gives the part of the band that raises the rate of a client, of bearers at instants."""

    def __call__(
        self,
        held: Float[np.ndarray, " row"],
        shares: Float[np.ndarray, "row group"],
        *,
        bearers: slice | Int[np.ndarray, " row"],
        instants: slice | Int[np.ndarray, " row"],
    ) -> Float[np.ndarray, " row"]:
        """Return it for parts held over all bearers of a client, and the shares of each bearer."""
        ...


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class PowerLimits:
    """What power lets the uplink bearers of some cells use at an instant."""

    cells: BearerCells
    num_groups: int
    """Groups of blocks that together are the band."""
    block: float
    """Part of the band that one block is; less is not redistributed."""
    use: Use
    """Gives the part of the band that raises the rate of a client, of the part that it holds over
    all its bearers and the shares of each."""
    headroom: Float[np.ndarray, " bearer"] | None
    """Part of the band that the power headroom of each client covers; ``None`` where the scheduler
    gives as much as raises the rate."""

    def in_limited_cell(self) -> Bool[np.ndarray, " bearer"]:
        """Return which bearers are in a cell where power limits a client to a part of the band."""
        return self.has_any(self.most() < 1 - FULL_RTOL)[self.cells.cell]

    def most(self) -> Float[np.ndarray, " bearer"]:
        """Return the part of the band that each bearer is granted at most while others want it."""
        if self.headroom is not None:
            return self.headroom
        whole = np.ones((len(self.cells.cell), self.num_groups))
        return self.use(whole[:, 0], whole)

    def in_cell(self, values: Float[np.ndarray, "bearer ..."]) -> Float[np.ndarray, "cell ..."]:
        """Return the sums over the bearers of each cell."""
        return np.add.reduceat(values, self.cells.start)

    def has_any(self, values: Bool[np.ndarray, " bearer"]) -> Bool[np.ndarray, " cell"]:
        """Return in which cells something holds for some bearer."""
        return np.logical_or.reduceat(values, self.cells.start)

    def of_bearers(
        self, values: Shaped[np.ndarray, "cell ..."]
    ) -> Shaped[np.ndarray, "bearer ..."]:
        """Return the values of the cell of each bearer."""
        return values.take(self.cells.cell, axis=0)

    def held(self, shares: Float[np.ndarray, "bearer group"]) -> Float[np.ndarray, " bearer"]:
        """Return the part of the band that the client of each bearer holds."""
        held, client = mean_over_groups(shares), self.cells.client
        return held if client is None else np.bincount(client, held)[client]


class LimitsOverTime:
    """What power lets the uplink bearers of some cells use from each instant to the next.

    Parameters
    ----------
    limits
        Those of the first instant; ``use`` and ``headroom`` are replaced.
    use
        What :class:`PowerLimits` asks for, of any bearers at any instants.
    bearers
        Those of the cells, of all that ``use`` knows.
    num_instants
        How many there are.
    headroom
        Part of the band that the power headroom of each covers, see :class:`PowerLimits`.
    """

    def __init__(
        self,
        limits: PowerLimits,
        *,
        use: UseAt,
        bearers: slice,
        num_instants: int,
        headroom: Float[np.ndarray, "instant bearer"] | None,
    ) -> None:
        self._use, self._bearers, self.headroom = use, bearers, headroom
        self.at_instant = [
            replace(
                limits,
                use=partial(use, bearers=bearers, instants=slice(instant, instant + 1)),
                headroom=None if headroom is None else headroom[instant],
            )
            for instant in range(num_instants)
        ]
        """The limits of each instant."""

    def of(self, rows: Int[np.ndarray, " row"]) -> PowerLimits:
        """Return the limits of the bearers of some cells, all instants one after another.

        Those of each instant are as if in cells of their own.
        """
        first, num_instants = self.at_instant[0], len(self.at_instant)
        of_row, of_client = first.cells.cell[rows], first.cells.client
        cell = np.cumsum(np.tile(np.diff(of_row, prepend=-1) != 0, num_instants)) - 1
        instants = np.arange(num_instants).repeat(len(rows))
        client = headroom = None
        if of_client is not None:
            client = np.tile(of_client[rows], num_instants) + instants * len(of_client)
        if self.headroom is not None:
            headroom = self.headroom[:, rows].ravel()
        return PowerLimits(
            cells=BearerCells(
                start=np.flatnonzero(np.diff(cell, prepend=-1)), cell=cell, client=client
            ),
            num_groups=first.num_groups,
            block=first.block,
            use=partial(
                self._use,
                bearers=np.tile(rows + self._bearers.start, num_instants),
                instants=instants,
            ),
            headroom=headroom,
        )


def redistribute_unused_blocks(
    ask: Ask, shares: Float[np.ndarray, "bearer group"], limits: PowerLimits
) -> Float[np.ndarray, "bearer group"]:
    """Return shares in which other bearers hold the blocks that some do not use.

    Parameters
    ----------
    ask
        Gives the checked shares when the scheduler of each cell is asked about the chosen bearers
        only; zeros for the others.
    shares
        The answer about all.
    limits
        Of their clients.

    Returns
    -------
    array
        Shares that are all used, in no group more than the scheduler gave in all. Who once left
        some is given no more, unless all are at the limit of their headroom.
    """
    given, is_open = shares, np.ones(len(shares), dtype=bool)
    granted: Float[np.ndarray, "cell group"] | None = None
    while True:
        held = limits.held(shares)
        used = limits.use(held, shares) if limits.headroom is None else limits.headroom
        if used is held:
            break
        is_over = is_open & (used < held * (1 - FULL_RTOL))
        if not np.count_nonzero(is_over):
            break
        if granted is None:
            granted = limits.in_cell(given)
        shares = _cut(shares, held, used, is_over)
        is_open &= ~is_over
        rest = np.maximum(granted - limits.in_cell(shares), 0.0)
        is_wanted = _is_left(rest, limits) & limits.has_any(is_over) & limits.has_any(is_open)
        if not np.count_nonzero(is_wanted):
            break
        rest *= is_wanted[:, None]
        shares = shares + ask(is_open & limits.of_bearers(is_wanted)) * limits.of_bearers(rest)
    if limits.headroom is None:
        return shares
    return _spread_power(shares, limits.in_cell(given) if granted is None else granted, limits)


def _spread_power(
    shares: Float[np.ndarray, "bearer group"],
    granted: Float[np.ndarray, "cell group"],
    limits: PowerLimits,
) -> Float[np.ndarray, "bearer group"]:
    """Return shares in which holders have what is left beyond the headroom of all.

    In proportion to what they hold in a group, or in the band where no holder in the group can use
    more, up to what raises their rates.
    """
    is_open: Bool[np.ndarray, " bearer"] | None = None
    while True:
        rest = np.maximum(granted - limits.in_cell(shares), 0.0)
        is_wanted = _is_left(rest, limits)
        if is_open is not None:
            is_wanted &= limits.has_any(is_open)
        if not np.count_nonzero(is_wanted):
            return shares
        if is_open is None:
            is_open = mean_over_groups(shares) > 0
        rest *= is_wanted[:, None]
        weight = shares * is_open[:, None]
        total = limits.in_cell(weight)
        is_held = total > 0
        if not (is_held | (rest == 0)).all():
            in_band = mean_over_groups(weight)[:, None]
            weight = np.where(limits.of_bearers(is_held), weight, in_band)
            total = np.where(is_held, total, mean_over_groups(total)[:, None])
        part = np.divide(rest, total, out=np.zeros_like(rest), where=total > 0)
        shares = shares + weight * limits.of_bearers(part)
        held = limits.held(shares)
        used = limits.use(held, shares)
        is_over = is_open & (used < held * (1 - FULL_RTOL))
        if not np.count_nonzero(is_over):
            return shares
        shares = _cut(shares, held, used, is_over)
        is_open &= ~is_over


def _cut(
    shares: Float[np.ndarray, "bearer group"],
    held: Float[np.ndarray, " bearer"],
    used: Float[np.ndarray, " bearer"],
    is_over: Bool[np.ndarray, " bearer"],
) -> Float[np.ndarray, "bearer group"]:
    """Return the shares that are used where some hold more than they use."""
    return shares * np.divide(used, held, out=np.ones_like(held), where=is_over)[:, None]


def _is_left(
    rest: Float[np.ndarray, "cell group"], limits: PowerLimits
) -> Bool[np.ndarray, " cell"]:
    """Return in which cells a block or more is left."""
    return mean_over_groups(rest) >= limits.block * (1 - FULL_RTOL)


def part_of(view: CellView, chosen: Bool[np.ndarray, " bearer"]) -> CellView:
    """Return the view of some of the bearers; the others are taken to hold nothing."""
    if chosen.all():
        return view
    return CellView(
        now_s=view.now_s,
        client_id=view.client_id[chosen],
        remaining_bits=view.remaining_bits[chosen],
        requested_at_s=view.requested_at_s[chosen],
        deadline_at_s=view.deadline_at_s[chosen],
        group_rate_bps=view.group_rate_bps[chosen],
        average_rate_bps=view.average_rate_bps[chosen],
        rate_bps=lambda fraction: view.rate_bps(_spread(fraction, chosen))[chosen],
        power_w=lambda fraction: view.power_w(_spread(fraction, chosen))[chosen],
    )


def _spread(
    fraction: Float[np.ndarray, " some"], chosen: Bool[np.ndarray, " bearer"]
) -> Float[np.ndarray, " bearer"]:
    whole = np.zeros(len(chosen))
    whole[chosen] = fraction
    return whole
