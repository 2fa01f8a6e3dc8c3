"""Stacked bars of costs: totals by part, and the shares that the parts have in them."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from analysis.canvas import legend_above, one_axes
from analysis.style import ACTIVITY_COLOURS, INK, MUTED, PAPER, PHASE_COLOURS, REASON_COLOURS
from analysis.text_safety import figure_text
from analysis.units import axis_label, display_unit, with_interval

PART_COLOURS = {**ACTIVITY_COLOURS, **PHASE_COLOURS, **REASON_COLOURS}
"""Colours of activities, phases and reasons by name."""
UNKNOWN_HATCH = "////"
"""Of parts without a colour."""
BARS_IN, BAR_IN = 0.95, 0.26
"""Height of a chart of bars: axis and legend, and of every bar."""


def label_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name every row of a chart of bars and give it its room; the first one is on top."""
    count = len(names)
    ax.set_yticks(range(count), [figure_text(name) for name in names])
    for label in ax.get_yticklabels():
        label.set_parse_math(False)  # an Axes of anybody's may take names for formulas
    ax.set_ylim(count - 0.45, -0.55)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)


def draw_stack(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    column: str,
    labels: Mapping[str, str] | None = None,
    colours: Mapping[str, str] = PART_COLOURS,
    room: float = 0.45,
    legend: bool = True,
) -> Axes:
    """Draw one stacked bar a variant, its total with interval at the end.

    Parameters
    ----------
    frame
        Columns ``variant``, ``part``, ``mean``, ``total``, ``total_half_width``, as of
        :func:`analysis.series.energy_frame` (one kind of owner), ``latency_frame`` or
        ``waste_frame``.
    ax
        Where to draw; ``None`` makes a figure.
    column
        Column name whose words and unit go on the axis, such as ``energy_j``.
    labels
        Names of the bars by variant, from top to bottom; ``None``: the variants of the frame.
    colours
        Colour of each part; other parts are grey and hatched.
    room
        Space for the totals, as a share of the longest bar.
    legend
        Whether the parts are named above the Axes.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    shown = _names(frame, labels)
    largest = float(frame["total"].max()) if len(frame) else 0.0
    unit = display_unit(column, largest)
    with one_axes(ax, height_in=BARS_IN + BAR_IN * len(shown)) as drawn:
        _stack(frame, drawn, scale=unit.scale, variants=list(shown), colours=colours)
        totals = {row["variant"]: row for row in frame.to_dict("records")}
        for place, name in enumerate(shown):
            if name in totals:
                row = totals[name]
                total, half = (row[key] / unit.scale for key in ("total", "total_half_width"))
                text = with_interval(total, half, support="positive")
                drawn.annotate(text, xy=(total, place), xytext=(4, 0), va="center",
                               textcoords="offset points", fontsize=6.5, color=INK)  # fmt: skip
        drawn.set_xlim(0.0, (1.0 + room) * largest / unit.scale if largest > 0.0 else 1.0)
        drawn.set_xlabel(axis_label(column, unit=unit.symbol))
        _finish(frame, drawn, shown, colours, legend=legend, is_new=ax is None)
    return drawn


def draw_shares(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    whole: str,
    labels: Mapping[str, str] | None = None,
    colours: Mapping[str, str] = PART_COLOURS,
    legend: bool = True,
) -> Axes:
    """Draw one stacked bar a variant, of the shares that the parts have in its total.

    Parameters
    ----------
    frame, ax, labels, colours, legend
        As for :func:`draw_stack`.
    whole
        What the parts are shares of, for the axis.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    shown = _names(frame, labels)
    shares = frame.assign(mean=100 * frame["mean"] / frame["total"].where(frame["total"] > 0))
    with one_axes(ax, height_in=BARS_IN + BAR_IN * len(shown)) as drawn:
        _stack(
            shares.fillna({"mean": 0.0}), drawn, scale=1.0, variants=list(shown), colours=colours
        )
        drawn.set_xlim(0.0, 100.0)
        drawn.set_xlabel(f"share of {whole} [%]")
        _finish(frame, drawn, shown, colours, legend=legend, is_new=ax is None)
    return drawn


def stack_handles(
    frame: pd.DataFrame, colours: Mapping[str, str] = PART_COLOURS
) -> dict[str, Artist]:
    """Return the legend entries of the parts of a frame by name, in stacking order."""
    return {
        part: Patch(
            facecolor=colours.get(part, MUTED),
            hatch=None if part in colours else UNKNOWN_HATCH,
            edgecolor=PAPER,
            label=figure_text(part),
        )
        for part in dict.fromkeys(frame["part"])
    }


def _names(frame: pd.DataFrame, labels: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return the names of the bars by variant."""
    return {str(v): str(v) for v in dict.fromkeys(frame["variant"])} if labels is None else labels


def _stack(
    frame: pd.DataFrame,
    ax: Axes,
    *,
    scale: float,
    variants: Sequence[str],
    colours: Mapping[str, str],
) -> None:
    """Draw the bars of a stack."""
    left = dict.fromkeys(variants, 0.0)
    for part in dict.fromkeys(frame["part"]):
        rows = frame[frame["part"] == part].set_index("variant")["mean"]
        widths = [float(rows.get(name, 0.0)) / scale for name in variants]
        ax.barh(
            range(len(variants)),
            widths,
            left=[left[name] for name in variants],
            height=0.62,
            color=colours.get(part, MUTED),
            hatch=None if part in colours else UNKNOWN_HATCH,
            edgecolor=PAPER,
            linewidth=0.6,
            label=figure_text(part),
        )
        left = {name: left[name] + w for name, w in zip(variants, widths, strict=True)}


def _finish(
    frame: pd.DataFrame,
    ax: Axes,
    names: Mapping[str, str],
    colours: Mapping[str, str],
    *,
    legend: bool,
    is_new: bool,
) -> None:
    """Name the bars and their parts."""
    label_rows(ax, list(names.values()))
    ax.grid(visible=False, axis="x")
    if legend:
        legend_above(ax, list(stack_handles(frame, colours).values()), is_new=is_new)
