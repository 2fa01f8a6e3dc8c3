"""Bars of what a target, or a whole run, cost: means, intervals, single seeds and their counts."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.canvas import many_axes, one_axes, panels
from analysis.intervals import Support, drawn_half_width, interval_ends, support_of
from analysis.limits import fitted_limits, mark_cut
from analysis.log_axis import use_log_x
from analysis.plots import LOG_FROM
from analysis.stacks import BAR_IN, BARS_IN, label_rows
from analysis.style import INK, MUTED, PAPER, RULE, LineStyle, styles_of
from analysis.units import axis_label, display_unit

JAIN_INDEX = "jain_index"
_FURTHEST = 10.0
"""How far a logarithmic axis follows wide intervals beyond single seeds, as a factor."""


def draw_target_costs(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    column: str,
    rows: Sequence[tuple[str, str]] | None = None,
    styles: Mapping[str, LineStyle] | None = None,
    can_be_log: bool = True,
    at_least: tuple[float, float] | None = None,
) -> Axes:
    """Draw one bar a variant and split: mean cost to target, its interval, one dot a seed.

    A variant of which some seeds never got there has no bar, only the dots of those that did and
    the count; a variant that never did says so. An interval that goes on beyond the axis ends in an
    arrowhead. Bars are named on the axis, so there is no legend.

    Parameters
    ----------
    frame
        As :func:`analysis.series.target_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.
    column
        Cost column, such as ``at_s``.
    rows
        (variant, split) from top to bottom; ``None``: those of the frame.
    styles
        Style and label of each variant; ``None``: those of the frame, named as they are.
    can_be_log
        Whether values far apart stand on a logarithmic axis, which has no place for 0.
    at_least
        What the axis shows in any case, in the column's unit.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    mine = frame[frame["cost"] == column]
    shown = rows or list(dict.fromkeys(zip(mine["variant"], mine["split"], strict=True)))
    known = styles_of((variant for variant, _ in shown), styles)
    with one_axes(ax, height_in=BARS_IN + BAR_IN * len(shown)) as drawn:
        _draw_costs(
            mine,
            drawn,
            column=column,
            rows=shown,
            styles=known,
            can_be_log=can_be_log,
            at_least=at_least,
        )
    return drawn


def draw_cost_panels(
    frame: pd.DataFrame,
    axes: Sequence[Axes] | None = None,
    *,
    columns: Sequence[str],
    rows: Sequence[tuple[str, str]] | None = None,
    styles: Mapping[str, LineStyle] | None = None,
    bar_in: float = 0.25,
    linear: Sequence[str] = (),
) -> list[Axes]:
    """Draw one panel a cost as :func:`draw_target_costs` does, side by side with the same rows.

    Parameters
    ----------
    frame, rows, styles
        As for :func:`draw_target_costs`; ``rows`` of all panels.
    axes
        Where to draw, one a panel; ``None`` makes a figure.
    columns
        Costs, from left to right. The index of Jain has an axis from 0 to 1.
    bar_in
        Height of a bar in a new figure, in inches.
    linear
        Those of ``columns`` that never stand on a logarithmic axis.

    Returns
    -------
    list of matplotlib.axes.Axes
        One a panel.
    """
    shown = rows or list(dict.fromkeys(zip(frame["variant"], frame["split"], strict=True)))
    height_in, num = 0.75 + bar_in * len(shown), len(columns)
    with many_axes(axes, num, lambda: panels(height_in, columns=num, sharey=True)[1]) as drawn:
        for ax, column in zip(drawn, columns, strict=True):
            draw_target_costs(
                frame,
                ax,
                column=column,
                rows=shown,
                styles=styles,
                can_be_log=column not in linear,
                at_least=(0.0, 1.0) if column == JAIN_INDEX else None,
            )
            if column == JAIN_INDEX:
                ax.set_xticks([0.0, 0.5, 1.0])
    return drawn


def _draw_costs(
    mine: pd.DataFrame,
    ax: Axes,
    *,
    column: str,
    rows: Sequence[tuple[str, str]],
    styles: Mapping[str, LineStyle],
    can_be_log: bool,
    at_least: tuple[float, float] | None,
) -> None:
    """Draw the bars of one cost, and name them."""
    values = mine["value"][mine["value"] > 0.0]
    unit = display_unit(column, float(values.max()) if len(values) else 0.0)
    support = support_of(column)
    is_log = (
        can_be_log
        and support != "real"
        and len(values) > 1
        and float(values.max() / values.min()) >= LOG_FROM
    )
    means = _means(mine, rows, scale=unit.scale, support=support)
    scaled = mine["value"].dropna() / unit.scale
    if is_log:
        use_log_x(ax)
        scaled, means = scaled[scaled > 0.0], means[means["mean"] > 0.0]
    _limit_costs(ax, scaled, means, is_log=is_log, at_least=at_least)
    for place, (variant, split) in enumerate(rows):
        runs = mine[(mine["variant"] == variant) & (mine["split"] == split)]
        if runs.empty:
            continue
        first, style = runs.iloc[0], styles[variant]
        dots = runs["value"].dropna() / unit.scale
        if is_log and not dots.all():
            _say_zero(ax, place)
            dots = dots[dots > 0.0]
        if place in means.index:
            _draw_mean(ax, place, means.to_dict("index")[place], style=style, is_log=is_log)
        ax.plot(dots, [place] * len(dots), ls="", marker=style.marker, color=style.colour,
                markersize=3.2, markeredgewidth=0)  # fmt: skip
        if first["num_reached"] < first["n"]:
            _say_missing(ax, place, dots.to_list(), f"{first['num_reached']} of {first['n']}")
    mark_cut(ax, "x", at=means.index, low=means["low"], high=means["high"], colour=INK)
    for place in range(1, len(rows)):
        if rows[place][1] != rows[place - 1][1]:
            ax.axhline(place - 0.5, color=RULE, lw=0.8)
    has_splits = len({split for _, split in rows}) > 1
    label_rows(ax, [styles[v].label + (f", {s}" if has_splits else "") for v, s in rows])
    ax.set_xlabel(axis_label(column, unit=unit.symbol))


def _means(
    mine: pd.DataFrame, rows: Sequence[tuple[str, str]], *, scale: float, support: Support
) -> pd.DataFrame:
    """Return mean, low and high by place, of the rows whose every seed got there."""
    found = {}
    for place, (variant, split) in enumerate(rows):
        runs = mine[(mine["variant"] == variant) & (mine["split"] == split)]
        if len(runs) and runs.iloc[0]["num_reached"] == runs.iloc[0]["n"]:
            first = runs.iloc[0]
            half_width = drawn_half_width(first["half_width"], first["n"])
            low, high = interval_ends(first["mean"], half_width, support=support)
            found[place] = (first["mean"] / scale, float(low) / scale, float(high) / scale)
    return pd.DataFrame.from_dict(found, orient="index", columns=["mean", "low", "high"])


def _draw_mean(
    ax: Axes, place: int, row: Mapping[Hashable, float], *, style: LineStyle, is_log: bool
) -> None:
    mean, low, high = row["mean"], row["low"], row["high"]
    if is_log:
        ax.plot(mean, place, marker="|", markersize=11, markeredgewidth=1.4, color=INK)
    else:
        ax.barh(place, mean, height=0.62, color=style.colour, alpha=0.35, lw=0)
    if np.isfinite(low) and high > low:
        ax.errorbar(mean, place, xerr=[[mean - low], [high - mean]], color=INK, lw=0.9, capsize=2)


def _limit_costs(
    ax: Axes,
    values: "pd.Series[float]",
    means: pd.DataFrame,
    *,
    is_log: bool,
    at_least: tuple[float, float] | None,
) -> None:
    """Hold values and intervals; leave room for words right of the largest value."""
    if values.empty:
        ax.set_xlim(0.0, 1.0)
        ax.set_xticks([])
        return
    least, largest = float(values.min()), float(values.max())
    lows, highs = means["low"].dropna(), means["high"].dropna()
    if is_log:
        first = max(min([*lows, least]), least / _FURTHEST) / 2.0
        last = min(max([*highs, largest]), largest * _FURTHEST)
        ax.set_xlim(first, max(1.2 * last, largest * (largest / least) ** 0.3))
        return
    first, last = fitted_limits([0.0, *values], lows, highs, room=1.0) or (0.0, 1.0)
    if min([0.0, least, *lows]) >= 0.0:
        first = 0.0
    last = max(last, 1.45 * largest)
    if at_least is not None:
        first, last = min(first, at_least[0]), max(at_least[1], max([largest, *highs]) * 1.02)
    ax.set_xlim(first, last)


def _say_zero(ax: Axes, place: int) -> None:
    """Write 0 left in a row whose runs cost nothing, which has no place on a logarithmic axis."""
    ax.annotate(
        "0",
        (0.0, place),
        xycoords=ax.get_yaxis_transform(),
        xytext=(3, 0),
        textcoords="offset points",
        ha="left",
        va="center",
        color=INK,
        fontsize=6.5,
    )


def _say_missing(ax: Axes, place: int, dots: Sequence[float], count: str) -> None:
    """Write how many seeds reached the target, right of the last of them."""
    at_axis = ax.get_yaxis_transform()
    ax.annotate(
        f"{count} reached" if dots else "not reached",
        xy=(max(dots), place) if dots else (0.0, place),
        xycoords="data" if dots else at_axis,
        xytext=(5 if dots else 3, 0),
        textcoords="offset points",
        va="center",
        fontsize=6.5,
        color=MUTED,
        fontstyle="italic",
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
    )
