"""Limits of axes: they hold what is drawn, or an arrowhead says that it goes on."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

GOES_ON = "_goes_on"
"""Label of arrowheads; the underscore keeps it out of legends."""

ROOM = 2.0
"""How far an axis follows wide intervals on either side, in ranges of what it is about."""
_LEAST_ROOM = 0.25
"""The same where that range is next to nothing, in widths of the intervals."""
_MARGIN = 0.07
_HEADS = {"x": ("<", ">"), "y": ("v", "^")}

Values = npt.NDArray[np.float64]


def fitted_limits(
    core: Iterable[float], low: Iterable[float], high: Iterable[float], *, room: float = ROOM
) -> tuple[float, float] | None:
    """Return limits that hold all of ``core``, and intervals as far as these leave it visible.

    Parameters
    ----------
    core
        What the picture is about: means, targets.
    low, high
        Ends of intervals; NaN for none.
    room
        How far the limits go beyond ``core`` on either side, in ranges of it.

    Returns
    -------
    tuple of float or None
        ``None`` without any finite value in ``core``.
    """
    centre, lows, highs = (_finite(values) for values in (core, low, high))
    if not centre.size:
        return None
    first, last = float(centre.min()), float(centre.max())
    width = float(np.median(highs) - np.median(lows)) if lows.size and highs.size else 0.0
    reach = max(room * (last - first), (_LEAST_ROOM if last > first else 1.0) * width)
    outer_low = max(float(lows.min()), first - reach) if lows.size else first
    outer_high = min(float(highs.max()), last + reach) if highs.size else last
    first, last = min(first, outer_low), max(last, outer_high)
    margin = _MARGIN * (last - first) or 0.05 * abs(last) or 1.0
    return first - margin, last + margin


def mark_cut(
    ax: Axes,
    axis: Literal["x", "y"],
    *,
    at: npt.ArrayLike,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    colour: str,
) -> None:
    """Put an arrowhead on the edge of the axes where an interval goes on beyond it.

    Call once the limits of ``axis`` are final.

    Parameters
    ----------
    ax, axis
        Where, and the direction of the intervals.
    at
        Position of each interval along the other axis.
    low, high
        Its ends.
    colour
        Of the arrowhead.
    """
    first, last = sorted(ax.get_xlim() if axis == "x" else ax.get_ylim())
    places = np.asarray(at, dtype=np.float64)
    lows, highs = (np.asarray(values, dtype=np.float64) for values in (low, high))
    slack = 1e-9 * (last - first)
    ends = ((lows < first - slack, first), (highs > last + slack, last))
    for (is_cut, edge), marker in zip(ends, _HEADS[axis], strict=True):
        for place in places[is_cut]:
            x, y = (edge, place) if axis == "x" else (place, edge)
            ax.plot([x], [y], ls="", marker=marker, color=colour, markersize=4.5,
                    markeredgewidth=0, clip_on=False, zorder=5, label=GOES_ON)  # fmt: skip


def goes_on(figure: Figure) -> bool:
    """Whether any interval of a figure goes on beyond its axes."""
    return any(line.get_label() == GOES_ON for ax in figure.axes for line in ax.lines)


def goes_on_words(figure: Figure) -> str:
    """Say in a caption what arrowheads mean; empty where there are none."""
    return " Arrowheads: the interval goes on beyond the picture." if goes_on(figure) else ""


def _finite(values: Iterable[float]) -> Values:
    found = np.asarray(list(values), dtype=np.float64)
    return found[np.isfinite(found)]
