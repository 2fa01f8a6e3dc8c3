"""Logarithmic axes whose tick labels are plain text: figures have math text switched off."""

import math
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatter

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
