"""When owners are busy, and the gaps between: kept as intervals are booked, not searched for anew.

A radio has a tail after its transfers, a site sleeps between them: both follow from the gaps. The
intervals of an owner may overlap; those that touch or overlap are one.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class _Union:
    """Disjoint intervals of one owner, ascending."""

    def __init__(self, started_at_s: float, finished_at_s: float) -> None:
        self.starts_s = array("d", [started_at_s])
        self.ends_s = array("d", [finished_at_s])

    def merge(self, started_at_s: float, finished_at_s: float) -> "GapChange":
        """Add an interval that may begin before others do; return the gaps that it changes."""
        low = bisect_left(self.ends_s, started_at_s)
        high = bisect_right(self.starts_s, finished_at_s)
        before_s = self._gaps_s(max(low - 1, 0), min(high, len(self.ends_s) - 1))
        start_s, end_s = started_at_s, finished_at_s
        if low < high:
            start_s = min(start_s, self.starts_s[low])
            end_s = max(end_s, self.ends_s[high - 1])
        self.starts_s[low:high] = array("d", [start_s])
        self.ends_s[low:high] = array("d", [end_s])
        after_s = self._gaps_s(max(low - 1, 0), min(low + 1, len(self.ends_s) - 1))
        return GapChange(closed_s=before_s, opened_s=after_s)

    def _gaps_s(self, first: int, last: int) -> tuple[float, ...]:
        """Return the gaps between neighbours, from one interval to another."""
        return tuple(self.starts_s[at + 1] - self.ends_s[at] for at in range(first, last))


class GapChange(NamedTuple):
    """How the gaps between the intervals of an owner change with a new interval.

    A neighbouring gap that stays as it was may stand on both sides.
    """

    closed_s: tuple[float, ...] = ()
    """Lengths of the gaps that are no more."""
    opened_s: tuple[float, ...] = ()
    """Lengths of the gaps that are new, each > 0."""


_NO_CHANGE = GapChange()


class BusyTime:
    """The union of the intervals of every owner, and the gaps between them.

    Intervals that are booked in order of time, as a running simulation does, cost one step each.
    """

    def __init__(self) -> None:
        self.latest_start_s = 0.0
        """Start of the interval that starts last: from here on, all gaps between are known."""
        self._unions: dict[int, _Union] = {}
        self._forgot_until_s = 0.0

    def add(self, owner_id: int, started_at_s: float, finished_at_s: float) -> GapChange:
        """Add an interval.

        Parameters
        ----------
        owner_id
            Whose.
        started_at_s, finished_at_s
            Start <= end.

        Returns
        -------
        GapChange
            The gaps between intervals that it closes and opens: usually it opens the one before it.

        Raises
        ------
        ValueError
            It starts among intervals that are forgotten.
        """
        if started_at_s < self._forgot_until_s:
            msg = (
                f"started_at_s: must be {self._forgot_until_s} or later, got {started_at_s}: "
                "earlier intervals are forgotten"
            )
            raise ValueError(msg)
        self.latest_start_s = max(self.latest_start_s, started_at_s)
        union = self._unions.get(owner_id)
        if union is None:
            self._unions[owner_id] = _Union(started_at_s, finished_at_s)
            return _NO_CHANGE
        if started_at_s < union.starts_s[-1]:
            return union.merge(started_at_s, finished_at_s)
        gap_s = started_at_s - union.ends_s[-1]
        if gap_s <= 0:
            union.ends_s[-1] = max(union.ends_s[-1], finished_at_s)
            return _NO_CHANGE
        union.starts_s.append(started_at_s)
        union.ends_s.append(finished_at_s)
        return GapChange(opened_s=(gap_s,))

    def forget(self, until_s: float) -> None:
        """Forget all intervals but the last of each owner; none may start before then now."""
        self._forgot_until_s = until_s
        for owner_id, union in self._unions.items():
            self._unions[owner_id] = _Union(union.starts_s[-1], union.ends_s[-1])

    def owners(self) -> list[int]:
        """Return who was ever busy, ascending."""
        return sorted(self._unions)

    def gap_s(self, owner_id: int, until_s: float) -> float:
        """Return the time since an owner's last interval; 0 within it, inf if never busy."""
        union = self._unions.get(owner_id)
        return float("inf") if union is None else max(until_s - union.ends_s[-1], 0.0)

    def open_gaps_s(self, owner_ids: Iterable[int], until_s: float) -> Float[np.ndarray, " owner"]:
        """Return the time since each owner's last interval; 0 within it, and if never busy."""
        unions = (self._unions.get(owner_id) for owner_id in owner_ids)
        ends_s = [until_s if union is None else union.ends_s[-1] for union in unions]
        return np.maximum(until_s - np.array(ends_s, dtype=np.float64), 0.0)


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
