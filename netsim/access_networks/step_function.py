"""A piecewise-constant function of time with its exact integral and the inverse of that."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from math import ceil, floor, inf


class StepFunction:
    """A value that changes at given instants and is constant between them.

    Parameters
    ----------
    starts_s
        Start of each piece [s], ascending from 0.
    values
        Value of each piece, >= 0 and finite.
    period_s
        End of the last piece [s], after which the function begins again; ``None``: the last piece
        lasts without end.
    offset_s
        Time of the function at instant 0 [s], from 0 to below the period.

    Raises
    ------
    ValueError
        If a piece has no duration, a value is negative or the numbers do not fit each other.

    Examples
    --------
    >>> rate = StepFunction([0.0, 2.0, 5.0], [10.0, 0.0, 4.0])
    >>> rate.integral(1.0, 6.0)
    14.0
    >>> rate.when_reached(1.0, 12.0)
    5.5
    """

    def __init__(
        self,
        starts_s: Sequence[float],
        values: Sequence[float],
        *,
        period_s: float | None = None,
        offset_s: float = 0.0,
    ) -> None:
        ends_s = [*starts_s[1:], inf if period_s is None else period_s]
        if not starts_s or len(starts_s) != len(values) or starts_s[0] != 0:
            msg = f"starts_s: must be one for each of {len(values)} values, from 0 on"
            raise ValueError(msg)
        if any(not start_s < end_s for start_s, end_s in zip(starts_s, ends_s, strict=True)):
            msg = f"starts_s: must ascend, up to period_s = {period_s}"
            raise ValueError(msg)
        if any(not 0 <= value < inf for value in values):
            msg = f"values: must be >= 0 and finite, got {min(values)} to {max(values)}"
            raise ValueError(msg)
        if not 0 <= offset_s < inf or (period_s is not None and offset_s >= period_s):
            msg = f"offset_s: must be >= 0 and below the period of {period_s}, got {offset_s}"
            raise ValueError(msg)
        self._starts_s = list(starts_s)
        self._values = list(values)
        self._period_s = period_s
        self._offset_s = offset_s
        lengths_s = [end - start for start, end in zip(starts_s, ends_s, strict=True)]
        finite = lengths_s if period_s is not None else lengths_s[:-1]
        self._sums = list(
            accumulate((v * s for v, s in zip(values, finite, strict=False)), initial=0.0)
        )

    @property
    def largest(self) -> float:
        """Largest value."""
        return max(self._values)

    def value(self, at_s: float) -> float:
        """Return the value at an instant; of two neighbours the later one."""
        return self._values[self._piece(self._phase(at_s + self._offset_s)[1])]

    def integral(self, start_s: float, end_s: float) -> float:
        """Return the integral from one instant to a later one."""
        if start_s == end_s:
            return 0.0
        return self._integral_to(end_s + self._offset_s) - self._integral_to(
            start_s + self._offset_s
        )

    def when_reached(self, start_s: float, amount: float) -> float:
        """Return the earliest instant at which the integral from ``start_s`` is an amount [s].

        inf if it never is.

        Parameters
        ----------
        start_s
            From when on [s].
        amount
            >= 0.
        """
        if amount <= 0:
            return start_s
        target = self._integral_to(start_s + self._offset_s) + amount
        base_s = 0.0
        if self._period_s is not None:
            whole = self._sums[-1]
            if whole == 0:
                return inf
            num_periods = max(ceil(target / whole) - 1, 0)
            target = min(target - num_periods * whole, whole)
            base_s = num_periods * self._period_s
        k = max(bisect_left(self._sums, target) - 1, 0)
        value = self._values[k]
        if value == 0:  # only the endless last piece: any other ends with a larger sum
            return inf
        reached_s = base_s + self._starts_s[k] + (target - self._sums[k]) / value
        return max(reached_s - self._offset_s, start_s)

    def _integral_to(self, time_s: float) -> float:
        """Return the integral from the start of the function to a time of its own."""
        num_periods, phase_s = self._phase(time_s)
        k = self._piece(phase_s)
        part = self._sums[k] + self._values[k] * (phase_s - self._starts_s[k])
        return num_periods * self._sums[-1] + part if num_periods else part

    def _phase(self, time_s: float) -> tuple[int, float]:
        """Return the number of whole periods in a time, and what is left of it."""
        if self._period_s is None or time_s < self._period_s:
            return 0, time_s
        num_periods = floor(time_s / self._period_s)
        return num_periods, max(time_s - num_periods * self._period_s, 0.0)

    def _piece(self, phase_s: float) -> int:
        return bisect_right(self._starts_s, phase_s) - 1


def constant(value: float) -> StepFunction:
    """Return the function that has one value at all times."""
    return StepFunction([0.0], [value])
