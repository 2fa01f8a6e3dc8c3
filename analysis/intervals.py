"""Ends of intervals: none leaves the values that a quantity can have."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import t as student_t

Support = Literal["real", "positive", "fraction"]
"""Values that a quantity can have: any; none below 0; from 0 to 1."""

_POSITIVE = frozenset(
    {
        *("s", "j", "bytes", "kb", "mb", "gb", "w", "wh", "hz", "bps", "percent", "round"),
        *("loss", "perplexity", "error", "tokens"),
        *("rate", "aggregations", "received", "staleness", "trained"),
    }
)
"""Last words of the names of quantities that cannot be negative."""
_FRACTIONS = frozenset({"accuracy", "repetition", "match", "l", "f1", "index", "prior"})
"""Last words of the names of those from 0 to 1. Rewards and other scores are in neither."""

EXACT = 1e-9
"""An interval narrower than this part of its mean is rounding of equal values."""

Values = npt.NDArray[np.float64]


def support_of(name: str) -> Support:
    """Return the values that a column or metric can have, by the last word of its name.

    Examples
    --------
    >>> support_of("site_energy_j"), support_of("accuracy"), support_of("reward")
    ('positive', 'fraction', 'real')
    """
    last = name.rsplit("_", 1)[-1]
    if last in _FRACTIONS:
        return "fraction"
    return "positive" if last in _POSITIVE else "real"


def leaves_support(
    mean: npt.ArrayLike, half_width: npt.ArrayLike, support: Support
) -> npt.NDArray[np.bool_]:
    """Whether ``mean ± half_width`` reaches values that the quantity cannot have."""
    centre, half = (np.asarray(each, dtype=np.float64) for each in (mean, half_width))
    is_wide = np.isfinite(half) & (half > 0.0)
    if support == "positive":
        return is_wide & (centre > 0.0) & (centre - half <= 0.0)
    if support == "fraction":
        is_inside = (centre > 0.0) & (centre < 1.0)
        return is_wide & is_inside & ((centre - half <= 0.0) | (centre + half >= 1.0))
    return np.zeros(np.broadcast(centre, half).shape, dtype=bool)


def interval_ends(
    mean: npt.ArrayLike, half_width: npt.ArrayLike, *, support: Support
) -> tuple[Values, Values]:
    """Return the lower and upper ends of intervals, NaN without one.

    Where ``mean ± half_width`` leaves the support, the interval is that of a transformed quantity
    by the delta method, which cannot: of the logarithm of a positive one, from ``mean / k`` to
    ``mean k`` with ``k = exp(half_width / mean)``; of the log odds of a fraction, with a half-width
    of ``half_width / (mean (1 - mean))`` there.

    Parameters
    ----------
    mean, half_width
        Of the same shape and unit; a half-width may be NaN.
    support
        Values that the quantity can have.

    Examples
    --------
    >>> low, high = interval_ends([10.0, 2.0], [3.0, 2.0], support="positive")
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([7.0, 0.74], [13.0, 5.44])
    >>> low, high = interval_ends([0.8, 0.8], [0.1, 0.3], support="fraction")
    >>> low.round(2).tolist(), high.round(2).tolist()
    ([0.7, 0.38], [0.9, 0.96])
    """
    centre = np.asarray(mean, dtype=np.float64)
    half = np.asarray(half_width, dtype=np.float64)
    low, high = centre - half, centre + half
    leaves = leaves_support(centre, half, support)
    if not leaves.any():
        return low, high
    if support == "positive":
        ratio = np.divide(half, centre, out=np.zeros_like(low), where=leaves)
        factor = np.exp(np.minimum(ratio, 700.0))
        return np.where(leaves, centre / factor, low), np.where(leaves, centre * factor, high)
    inside = np.where(leaves, centre, 0.5)
    odds, spread = logit(inside), half / (inside * (1.0 - inside))
    return (
        np.where(leaves, expit(odds - spread), low),
        np.where(leaves, expit(odds + spread), high),
    )


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
