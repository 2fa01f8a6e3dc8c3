"""Words and units of columns: what an axis or a table head says, derived from the column's name."""

import math
from dataclasses import dataclass

UNITS = {"s": "s", "j": "J", "bytes": "B", "kb": "kB", "mb": "MB", "w": "W", "hz": "Hz"}
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


def with_interval(mean: float, half_width: float, *, decimals: int | None = None) -> str:
    """Write ``mean ± half-width`` with the digits that the interval supports.

    Two significant digits of the half-width are kept; without an interval, four of the mean.

    Examples
    --------
    >>> with_interval(1234.567, 23.4), with_interval(1234.567, float("nan"))
    ('1235 ± 23', '1235')
    >>> with_interval(0.81234, 0.0123, decimals=3)
    '0.812 ± 0.012'
    """
    if math.isnan(mean):
        return "-"
    if decimals is None:
        has_interval = math.isfinite(half_width) and half_width > 0.0
        size, digits = (half_width, 2) if has_interval else (abs(mean), 4)
        is_whole = mean == round(mean) and not has_interval
        decimals = 0 if is_whole else digits - 1 - math.floor(math.log10(size))
        decimals = min(max(decimals, 0), 6)
    text = f"{mean:.{decimals}f}"
    return text if math.isnan(half_width) else f"{text} ± {half_width:.{decimals}f}"
