"""Ends of intervals: none of a quantity that cannot be negative reaches below 0."""

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student_t

_NEVER_NEGATIVE = frozenset(
    {
        *("s", "j", "bytes", "kb", "mb", "gb", "w", "wh", "hz", "bps", "percent", "round"),
        *("accuracy", "loss", "perplexity", "error", "repetition", "tokens", "match", "l", "f1"),
        *("index", "rate", "aggregations", "received", "staleness", "trained", "prior"),
    }
)
"""Last words of the names of such quantities; rewards and other scores are not among them."""

EXACT = 1e-9
"""An interval narrower than this part of its mean is rounding of equal values."""

Values = npt.NDArray[np.float64]


def is_never_negative(name: str) -> bool:
    """Whether a column or metric cannot be below 0, by the last word of its name.

    Examples
    --------
    >>> is_never_negative("site_energy_j"), is_never_negative("reward")
    (True, False)
    """
    return name.rsplit("_", 1)[-1] in _NEVER_NEGATIVE


def interval_ends(
    mean: npt.ArrayLike, half_width: npt.ArrayLike, *, never_negative: bool
) -> tuple[Values, Values]:
    """Return the lower and upper ends of intervals, NaN without one.

    Where a quantity cannot be negative and ``mean - half_width`` is not above 0, the interval is
    that of its logarithm by the delta method: from ``mean / k`` to ``mean * k`` with
    ``k = exp(half_width / mean)``.

    Parameters
    ----------
    mean, half_width
        Of the same shape and unit; a half-width may be NaN.
    never_negative
        Whether the quantity cannot be below 0.

    Examples
    --------
    >>> low, high = interval_ends([10.0, 2.0], [3.0, 2.0], never_negative=True)
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([7.0, 0.74], [13.0, 5.44])
    """
    centre = np.asarray(mean, dtype=np.float64)
    half = np.asarray(half_width, dtype=np.float64)
    low, high = centre - half, centre + half
    if never_negative:
        crosses = np.isfinite(half) & (low <= 0.0) & (half > 0.0) & (centre > 0.0)
        ratio = np.divide(half, centre, out=np.zeros_like(low), where=crosses)
        factor = np.exp(np.minimum(ratio, 700.0))
        low = np.where(crosses, centre / factor, low)
        high = np.where(crosses, centre * factor, high)
    return low, high


def drawn_half_width(half_width: npt.ArrayLike, n: npt.ArrayLike) -> Values:
    """Return half the length of what figures draw: the interval, or for two seeds their range.

    The 95 % interval of two values is 12.7 times as wide as their range; it would fill every
    picture. Tables give it all the same.

    Parameters
    ----------
    half_width
        Of the 95 % Student-t interval.
    n
        Seeds behind each.
    """
    half, counts = np.asarray(half_width, dtype=np.float64), np.asarray(n)
    return np.where(counts == 2, half / student_t.ppf(0.975, 1), half)


def is_exact(mean: float, half_width: float) -> bool:
    """Whether all values behind an interval are equal, so that there is nothing to tell of it."""
    return bool(half_width <= EXACT * abs(mean))
