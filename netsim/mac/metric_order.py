"""Shares in the order of a metric where power limits clients to parts of the band.

The same as asking again about those who are left (:mod:`netsim.mac.unused_blocks`), for a scheduler
that is asked at a few instants about many averages. What does not depend on the averages is found
once for all instants, and in a flat band, where a cell has one order, each has what those before it
leave: a sum.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.mac.schedulers.metric import TIE_RTOL, serve_largest, serve_largest_of
from netsim.mac.unused_blocks import LimitsOverTime, PowerLimits, redistribute_unused_blocks
from netsim.phy.power_headroom import FULL_RTOL


class MetricOrder:
    """Shares of an exclusive scheduler with a metric.

    Parameters
    ----------
    limits
        What power lets the bearers use.
    """

    def __init__(self, limits: LimitsOverTime) -> None:
        first = limits.at_instant[0]
        self._limits = limits.at_instant
        is_limited = np.any([each.in_limited_cell() for each in self._limits], axis=0)
        is_settled = is_limited & _is_settled(limits)
        settled = np.flatnonzero(is_settled.any(axis=0))
        together = limits.of(settled)
        shares = _in_order(np.ones((len(together.cells.cell), first.num_groups)), together)
        shape = (len(self._limits), len(settled), first.num_groups)
        self._settled = [
            (settled[now], shares_then[now])
            for now, shares_then in zip(is_settled[:, settled], shares.reshape(shape), strict=True)
        ]
        """Who has the same shares whatever the order at each instant, and these shares."""
        self._unlimited = _Part(np.flatnonzero(~is_limited), first.cells.cell)
        self._flat: _FlatOrder | None = None
        headroom = limits.headroom
        if first.num_groups == 1 and first.cells.client is None and headroom is not None:
            part = _Part(np.flatnonzero(is_limited & ~is_settled.all(axis=0)), first.cells.cell)
            self._flat = _FlatOrder(part, headroom[:, part.rows], block=first.block)

    def shares(
        self, instant: int, metric: Float[np.ndarray, "bearer group"]
    ) -> Float[np.ndarray, "bearer group"]:
        """Return the shares that are used, best first; ``metric`` is not NaN."""
        shares = np.zeros(metric.shape)
        if self._flat is None or not self._flat.fill(shares, instant, metric):
            return _in_order(metric, self._limits[instant], known=self._settled[instant])
        settled, settled_shares = self._settled[instant]
        shares[settled] = settled_shares
        rows = self._unlimited.rows
        if len(rows):
            shares[rows] = serve_largest(
                metric[rows], self._unlimited.cell_start, self._unlimited.cell
            )
        return shares


class _Part:
    """The bearers of some cells."""

    def __init__(self, rows: Int[np.ndarray, " row"], cell: Int[np.ndarray, " bearer"]) -> None:
        self.rows = rows
        is_first = np.diff(cell[rows], prepend=-1) != 0
        self.cell_start = np.flatnonzero(is_first)
        self.cell = np.cumsum(is_first) - 1
        self.is_next_in_cell: Bool[np.ndarray, " next"] = ~is_first[1:]


class _FlatOrder:
    """Shares of a flat band in cells whose clients are limited, each after those before it.

    For schedulers that stay within the headroom: what a client uses by other rules depends on what
    it holds.

    Parameters
    ----------
    part
        Bearers of these cells.
    most
        Part of the band that the headroom of each covers, by instant.
    block
        Part of the band that one block is.
    """

    def __init__(
        self, part: _Part, most: Float[np.ndarray, "instant row"], *, block: float
    ) -> None:
        self._part, self._most = part, most
        self._least = block * (1 - FULL_RTOL)

    def fill(
        self,
        shares: Float[np.ndarray, "bearer 1"],
        instant: int,
        metric: Float[np.ndarray, "bearer 1"],
    ) -> bool:
        """Fill in the shares; return False where some are tied and divide one."""
        part = self._part
        values = metric[part.rows, 0]
        order = np.lexsort((-values, part.cell))
        best = values[order]
        is_tied = best[1:] >= best[:-1] * (1 - np.copysign(TIE_RTOL, best[:-1]))
        if np.count_nonzero(is_tied & part.is_next_in_cell):
            return False
        most = self._most[instant][order]
        before = most.cumsum() - most
        left = 1.0 - (before - before[part.cell_start][part.cell])
        given = np.where(left >= self._least, np.minimum(most, left), 0.0)
        shares[part.rows[order], 0] = given
        return True


def _is_settled(limits: LimitsOverTime) -> Bool[np.ndarray, "instant bearer"]:
    """Return who has the same shares whatever the order, at each instant.

    Who is alone in a cell, and in a flat band also those whose headroom together does not fill it.
    None where a client sends several transfers, which share its power.
    """
    first, num_instants = limits.at_instant[0], len(limits.at_instant)
    cells = first.cells
    if cells.client is not None:
        return np.zeros((num_instants, len(cells.cell)), dtype=bool)
    is_settled = np.bincount(cells.cell) == 1
    if limits.headroom is not None and first.num_groups == 1:
        left = 1.0 - np.add.reduceat(limits.headroom, cells.start, axis=1)
        is_settled = is_settled | (left >= first.block * (1 - FULL_RTOL))
    else:
        is_settled = np.broadcast_to(is_settled, (num_instants, len(is_settled)))
    return is_settled[:, cells.cell]


def _in_order(
    metric: Float[np.ndarray, "bearer group"],
    limits: PowerLimits,
    *,
    known: tuple[Int[np.ndarray, " known"], Float[np.ndarray, "known group"]] | None = None,
) -> Float[np.ndarray, "bearer group"]:
    """Return the shares by asking again about those who are left; those of some cells are known."""
    order = limits.cells.start, limits.cells.cell
    shares = serve_largest(metric, *order)
    if known is not None:
        shares[known[0]] = 0.0  # nothing is left or asked for there
    shares = redistribute_unused_blocks(
        lambda chosen: serve_largest_of(chosen, metric, *order), shares, limits
    )
    if known is not None:
        shares[known[0]] = known[1]
    return shares
