"""Logarithmic axes whose tick labels are plain text: figures have math text switched off."""

import math
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter, NullFormatter

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class PlainLogFormatter(LogFormatter):
    """Tick labels without markup, at the ticks that matplotlib would label."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a tick; empty where it has none."""
        return plain_power(x) if super().__call__(x, pos) else ""


def use_log_x(ax: Axes, *, scale: Literal["log", "symlog"] = "log", linear_to: float = 1.0) -> None:
    """Make the x axis logarithmic; ``symlog`` is linear up to ``linear_to``, so that it has a 0."""
    if scale == "log":
        ax.set_xscale("log")
    else:
        ax.set_xscale("symlog", linthresh=linear_to)
    ax.xaxis.set_major_formatter(PlainLogFormatter())
    ax.xaxis.set_minor_formatter(PlainLogFormatter())


def label_log_x(ax: Axes, first: float, last: float, *, most: int, has_zero: bool = False) -> None:
    """Label at most so many round numbers between two positive ends of a logarithmic x axis.

    Parameters
    ----------
    ax
        Its x axis is logarithmic.
    first, last
        Ends of what has labels.
    most
        Labels that there is room for, at least 1.
    has_zero
        Whether 0 has one more: the axis is ``symlog``.
    """
    powers = range(math.floor(math.log10(first)), math.ceil(math.log10(last)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [f * 10.0**p for p in powers for f in factors if first <= f * 10.0**p <= last]
        if len(ticks) <= most:
            break
    ticks = ticks[:: -(-len(ticks) // most)] if ticks else ticks
    ticks = [0.0, *ticks] if has_zero else ticks
    ax.set_xticks(ticks, [plain_power(tick) for tick in ticks])
    ax.xaxis.set_minor_formatter(NullFormatter())


def plain_power(value: float) -> str:
    """Write a number short: as it is from 0.001 to 99,999, otherwise as a power of ten.

    Examples
    --------
    >>> plain_power(0.5), plain_power(1e6), plain_power(-2e-4)
    ('0.5', '10⁶', '-2·10⁻⁴')
    """
    if value == 0.0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    factor = f"{value / 10.0**exponent:.3g}"
    power = f"10{str(exponent).translate(_SUPERSCRIPTS)}"
    return {"1": power, "-1": f"-{power}"}.get(factor, f"{factor}·{power}")
