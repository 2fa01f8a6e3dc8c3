"""Words and units of columns: what an axis or a table head says, derived from the column's name."""

import math
from dataclasses import dataclass

from analysis.intervals import Support, interval_ends, is_exact, leaves_support

UNITS = {"s": "s", "j": "J", "bytes": "B", "kb": "kB", "mb": "MB", "w": "W", "hz": "Hz",
         "db": "dB", "mbps": "Mbit/s"}  # fmt: skip
"""Unit of a column by the last word of its name."""

WORDS = {
    "at_s": "simulated time",
    "energy_j": "client energy",
    "wasted_j": "wasted energy",
    "site_energy_j": "site energy",
    "uplink_mb": "uplink",
    "downlink_mb": "downlink",
    "relayed_mb": "between sites and server",
    "wasted_percent": "wasted energy [%]",
    "jain_index": "Jain index of updates",
    "round": "round",
    "duration_s": "duration",
    "share_of_rounds": "share of rounds",
    "share_of_transfers": "share of transfers",
}
"""Columns whose name alone would read badly."""

_PREFIXES: dict[str, tuple[tuple[float, float, str], ...]] = {
    "s": ((2e4, 3600.0, "h"), (0.0, 1.0, "s")),
    "J": ((1e7, 1e6, "MJ"), (1e4, 1e3, "kJ"), (0.0, 1.0, "J")),
    "MB": ((1e4, 1e3, "GB"), (0.1, 1.0, "MB"), (0.0, 1e-3, "kB")),
}


_MOST_DECIMALS = 6
_SMALLEST_PLAIN, _LARGEST_PLAIN = 1e-4, 1e6
"""Ends of a wide interval beyond these are written with a power of ten."""


@dataclass(frozen=True, slots=True)
class DisplayUnit:
    """Unit in which numbers of one size read best."""

    scale: float
    """Units of the column in one display unit."""
    symbol: str
    """Empty for counts."""


def unit_of(column: str) -> str:
    """Return the unit that a column's suffix names; empty when it names none.

    Examples
    --------
    >>> unit_of("site_energy_j"), unit_of("num_clients")
    ('J', '')
    """
    return UNITS.get(column.rsplit("_", 1)[-1], "")


def words_of(column: str) -> str:
    """Name of a quantity without its unit: ``queue_time_s`` gives ``queue time``."""
    if column in WORDS:
        return WORDS[column]
    stem, _, last = column.rpartition("_")
    return (stem if stem and last in UNITS else column).replace("_", " ")


def display_unit(column: str, largest: float) -> DisplayUnit:
    """Choose the unit for an axis whose largest value, in the column's unit, is given.

    Examples
    --------
    >>> display_unit("energy_j", 25_000.0)
    DisplayUnit(scale=1000.0, symbol='kJ')
    """
    unit = unit_of(column)
    for least, scale, symbol in _PREFIXES.get(unit, ()):
        if largest > 0.0 and least <= largest:
            return DisplayUnit(scale, symbol)
    return DisplayUnit(1.0, unit)


def axis_label(column: str, *, unit: str | None = None) -> str:
    """Label of an axis: words and unit in brackets, the unit left out for counts."""
    symbol = unit_of(column) if unit is None else unit
    words = words_of(column)
    return f"{words} [{symbol}]" if symbol else words


def with_unit(column: str, value: float) -> str:
    """Write a value of a column with four digits and its unit; counts with their name.

    Examples
    --------
    >>> with_unit("energy_j", 25_310.0), with_unit("at_s", 61.25), with_unit("round", 15)
    ('25.31 kJ', '61.25 s', 'round 15')
    """
    unit = display_unit(column, value)
    number = with_interval(value / unit.scale, math.nan)
    return f"{number} {unit.symbol}" if unit.symbol else f"{words_of(column)} {number}"


def with_interval(
    mean: float, half_width: float, *, decimals: int | None = None, support: Support = "real"
) -> str:
    """Write ``mean ± half-width`` with the digits that the interval supports.

    Two significant digits of the half-width are kept; without an interval, four of the mean. Where
    all values are equal there is no ``±``. An interval that reaches values which the quantity
    cannot have is written by its ends, see :func:`analysis.intervals.interval_ends`.

    Examples
    --------
    >>> with_interval(1234.567, 23.4), with_interval(1234.567, float("nan"))
    ('1235 ± 23', '1235')
    >>> with_interval(0.81234, 0.0123, decimals=3), with_interval(0.8, 0.0, decimals=3)
    ('0.812 ± 0.012', '0.800')
    >>> with_interval(12.0, 15.0, support="positive")
    '12.0 (3.4 to 42)'
    """
    if math.isnan(mean):
        return "-"
    has_interval = not math.isnan(half_width) and not is_exact(mean, half_width)
    own = _decimals_of(mean) if decimals is None else decimals
    if not has_interval:
        return f"{mean:.{own}f}" if own <= _MOST_DECIMALS else f"{mean:.3g}"
    if bool(leaves_support(mean, half_width, support)):
        return _with_ends(mean, half_width, decimals or 0, support)
    if not math.isfinite(half_width):
        return f"{mean:.{own}f} ± {half_width}"
    least = _decimals_of(half_width, digits=2)
    shown = least if decimals is None else decimals
    if round(half_width, shown) == 0.0:  # a half-width that there is never reads as 0
        shown = least - 1
    shown = min(max(shown, 0), _MOST_DECIMALS)
    if round(half_width, shown) == 0.0:
        return f"{mean:.3g} ± {half_width:.2g}"
    return f"{mean:.{shown}f} ± {half_width:.{shown}f}"


def _with_ends(mean: float, half_width: float, decimals: int, support: Support) -> str:
    """Write a mean and the ends of its interval with two digits each."""
    low, high = (float(end) for end in interval_ends(mean, half_width, support=support))
    shown = f"{mean:.{max(decimals, _decimals_of(mean, digits=3))}f}"
    return f"{shown} ({_two_digits(low)} to {_two_digits(high)})"


def _two_digits(value: float) -> str:
    if not _SMALLEST_PLAIN <= value < _LARGEST_PLAIN:
        return f"{value:.2g}"
    return f"{float(f'{value:.1e}'):.{_decimals_of(value, digits=2)}f}"


def _decimals_of(value: float, *, digits: int = 4) -> int:
    """Return the decimals that leave so many significant digits; 0 for whole numbers."""
    if not math.isfinite(value) or value == 0.0 or (value == round(value) and digits == 4):
        return 0
    return min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), 12)


def probability(p_value: float) -> str:
    """Write a p value; empty where there is none.

    Examples
    --------
    >>> [probability(p_value) for p_value in (0.2, 0.0312, 0.00004, float("nan"))]
    ['0.20', '0.031', '< 0.001', '']
    """
    if math.isnan(p_value):
        return ""
    if p_value < 0.001:
        return "< 0.001"
    return f"{p_value:.2f}" if p_value >= 0.1 else f"{p_value:.3f}"
