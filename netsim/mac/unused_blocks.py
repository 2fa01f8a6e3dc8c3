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
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.mac.schedulers.view import CellView
from netsim.phy.effective_sinr import mean_over_groups
from netsim.phy.power_headroom import FULL_RTOL

Ask = Callable[[Bool[np.ndarray, " bearer"]], Float[np.ndarray, "bearer group"]]
Use = Callable[
    [Float[np.ndarray, " bearer"], Float[np.ndarray, "bearer group"]], Float[np.ndarray, " bearer"]
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLimits:
    """What power lets the uplink bearers of some cells use at an instant."""

    client_id: Int[np.ndarray, " bearer"]
    """One transmitter sends all bearers of a client."""
    cell_start: Int[np.ndarray, " cell"]
    """First bearer of each cell."""
    cell: Int[np.ndarray, " bearer"]
    """Cell of each bearer, counted from 0."""
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
        whole = np.ones((len(self.client_id), 1))
        used = self.use(whole[:, 0], whole) if self.headroom is None else self.headroom
        return self.has_any(used < 1 - FULL_RTOL)[self.cell]

    def in_cell(self, values: Float[np.ndarray, "bearer ..."]) -> Float[np.ndarray, "cell ..."]:
        """Return the sums over the bearers of each cell."""
        return np.add.reduceat(values, self.cell_start)

    def has_any(self, values: Bool[np.ndarray, " bearer"]) -> Bool[np.ndarray, " cell"]:
        """Return in which cells something holds for some bearer."""
        return np.logical_or.reduceat(values, self.cell_start)

    def held(self, shares: Float[np.ndarray, "bearer group"]) -> Float[np.ndarray, " bearer"]:
        """Return the part of the band that the client of each bearer holds."""
        held = mean_over_groups(shares)
        if len(set(self.client_id.tolist())) == len(held):
            return held
        _, client = np.unique(self.client_id, return_inverse=True)
        return np.bincount(client, held)[client]


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
    granted = limits.in_cell(shares)
    is_open = np.ones(len(shares), dtype=bool)
    while True:
        held = limits.held(shares)
        if limits.headroom is None:
            used = limits.use(held, shares)
        else:
            used = np.minimum(held, limits.headroom)
        shares, is_over = _cut(shares, held, used, is_open)
        is_open &= ~is_over
        rest = np.maximum(granted - limits.in_cell(shares), 0.0)
        is_wanted = _is_left(rest, limits) & limits.has_any(is_over) & limits.has_any(is_open)
        if not is_wanted.any():
            break
        rest *= is_wanted[:, None]
        shares = shares + ask(is_open & is_wanted[limits.cell]) * rest[limits.cell]
    return shares if limits.headroom is None else _spread_power(shares, granted, limits)


def _spread_power(
    shares: Float[np.ndarray, "bearer group"],
    granted: Float[np.ndarray, "cell group"],
    limits: PowerLimits,
) -> Float[np.ndarray, "bearer group"]:
    """Return shares in which holders have what is left beyond the headroom of all.

    In proportion to what they hold in a group, or in the band where no holder in the group can use
    more, up to what raises their rates.
    """
    is_open = mean_over_groups(shares) > 0
    while True:
        rest = np.maximum(granted - limits.in_cell(shares), 0.0)
        is_wanted = _is_left(rest, limits) & limits.has_any(is_open)
        if not is_wanted.any():
            return shares
        weight = shares * is_open[:, None]
        total = limits.in_cell(weight)[limits.cell]
        of_band = np.where(is_open, mean_over_groups(shares), 0.0)
        total_of_band = limits.in_cell(of_band)[limits.cell]
        part = np.where(
            total > 0,
            weight / np.where(total > 0, total, 1.0),
            (of_band / np.where(total_of_band > 0, total_of_band, 1.0))[:, None],
        )
        shares = shares + part * (rest * is_wanted[:, None])[limits.cell]
        held = limits.held(shares)
        shares, is_over = _cut(shares, held, limits.use(held, shares), is_open)
        if not is_over.any():
            return shares
        is_open &= ~is_over


def _cut(
    shares: Float[np.ndarray, "bearer group"],
    held: Float[np.ndarray, " bearer"],
    used: Float[np.ndarray, " bearer"],
    is_open: Bool[np.ndarray, " bearer"],
) -> tuple[Float[np.ndarray, "bearer group"], Bool[np.ndarray, " bearer"]]:
    """Return the shares that are used, and who is cut; who was cut before is not cut once more."""
    is_over = is_open & (used < held * (1 - FULL_RTOL))
    if is_over.any():
        shares = shares * np.where(is_over, used / np.where(is_over, held, 1.0), 1.0)[:, None]
    return shares, is_over


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
