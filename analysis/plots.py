"""Drawing: each function puts one data frame on one Axes, reads and writes no file."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.log_axis import use_log_x
from analysis.stats import is_better_low
from analysis.style import INK, MUTED, PAPER, RULE, LineStyle
from analysis.text_safety import figure_text
from analysis.units import DisplayUnit, axis_label, display_unit, with_interval

_LOG_FROM = 30.0
"""Ratio of the longest curve to the shortest from which the axis is logarithmic."""


def draw_curves(
    frame: pd.DataFrame,
    ax: Axes,
    *,
    column: str,
    styles: Mapping[str, LineStyle],
    metric: str,
    target: float | None = None,
) -> None:
    """Draw mean curves with their bands against one cost.

    A variant that never pays this cost (it sends nothing) is a horizontal line at its final value.

    Parameters
    ----------
    frame
        As :func:`analysis.series.curve_frame` gives it.
    ax
        Where to draw.
    column
        Cost column of the frame.
    styles
        Style of each variant.
    metric
        Name on the y axis.
    target
        Drawn as a dashed line, named beside the axes.
    """
    unit = display_unit(column, float(frame[column].max()) if len(frame) else 0.0)
    ends = frame.groupby("variant", sort=False)[column].max()
    paying = ends[ends > 0.0]
    is_log = len(paying) > 1 and float(paying.max() / paying.min()) >= _LOG_FROM
    if is_log:
        use_log_x(ax)
    for variant, rows in frame.groupby("variant", sort=False):
        style = styles[str(variant)]
        if ends[variant] <= 0.0:
            _draw_level(rows, ax, style)
            continue
        for series, line in rows.groupby("series", sort=False):
            shown = line[line[column] > 0.0] if is_log else line
            if series == "mean":
                _draw_mean(shown, ax, column=column, unit=unit, style=style)
            else:
                x = shown[column] / unit.scale
                ax.plot(x, shown["mean"], color=style.colour, lw=0.6, alpha=0.7)
    if not is_log:
        ax.set_xlim(left=0.0)
    if column == "round":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _limit_values(frame, ax, target)
    if target is not None:
        draw_target(ax, metric, target)
    ax.set_xlabel(axis_label(column, unit=unit.symbol))
    ax.set_ylabel(figure_text(metric.replace("_", " ")))


def _draw_mean(
    rows: pd.DataFrame, ax: Axes, *, column: str, unit: DisplayUnit, style: LineStyle
) -> None:
    x = rows[column].to_numpy(dtype=np.float64) / unit.scale
    mean = rows["mean"].to_numpy(dtype=np.float64)
    half = rows["band"].to_numpy(dtype=np.float64)
    if np.isfinite(half).any():
        ax.fill_between(x, mean - half, mean + half, color=style.colour, alpha=0.12, lw=0)
    ax.plot(
        x,
        mean,
        color=style.colour,
        linestyle=style.dash,
        marker=style.marker,
        markevery=max(1, math.ceil(len(x) / 7)),
        markeredgewidth=0,
        clip_on=False,  # markers on an axis are whole; the limits hold every mean
    )


def _draw_level(rows: pd.DataFrame, ax: Axes, style: LineStyle) -> None:
    last = rows.iloc[-1]
    ax.axhline(last["mean"], color=style.colour, linestyle=style.dash)
    ax.plot([0.0, 1.0], [last["mean"]] * 2, ls="", marker=style.marker, color=style.colour,
            transform=ax.get_yaxis_transform(), clip_on=False, markeredgewidth=0)  # fmt: skip
    if np.isfinite(last["band"]):
        low, high = last["mean"] - last["band"], last["mean"] + last["band"]
        ax.axhspan(low, high, color=style.colour, alpha=0.1, lw=0)


def _limit_values(frame: pd.DataFrame, ax: Axes, target: float | None) -> None:
    """Fit the y axis to curves and target; wide intervals of few seeds run out of the picture."""
    values = frame["mean"].dropna().to_list() + ([] if target is None else [target])
    if not values:
        return
    low, high = min(values), max(values)
    margin = 0.07 * (high - low) or 0.05 * abs(high) or 1.0
    ax.set_ylim(low - margin, high + margin)


def draw_target(ax: Axes, metric: str, target: float) -> None:
    """Draw the target line; its value stands right of the axes, where no curve can be."""
    ax.axhline(target, color=MUTED, lw=0.8, linestyle=(0, (2, 2)), zorder=1.5)
    sign = "≤" if is_better_low(metric) else "≥"
    ax.annotate(
        f"{sign} {target:g}",
        xy=(1.0, target),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        ha="left",
        fontsize=6.5,
        color=MUTED,
        annotation_clip=False,
    )


def curve_handles(styles: Mapping[str, LineStyle], variants: Sequence[str]) -> list[Line2D]:
    """Legend entries of these variants, in the order of the styles."""
    return [
        Line2D([], [], color=s.colour, ls=s.dash, marker=s.marker, label=s.label, markeredgewidth=0)
        for name, s in styles.items()
        if name in set(variants)
    ]


def draw_target_costs(
    frame: pd.DataFrame,
    ax: Axes,
    *,
    column: str,
    rows: Sequence[tuple[str, str]],
    styles: Mapping[str, LineStyle],
    can_be_log: bool = True,
) -> None:
    """Draw one bar a variant and split: mean cost to target, its interval, one dot a seed.

    A variant of which some seeds never got there has no bar, only the dots of those that did and
    the count; a variant that never did says so.

    Parameters
    ----------
    frame
        As :func:`analysis.series.target_frame` gives it.
    ax
        Where to draw.
    column
        Cost column.
    rows
        (variant, split) from top to bottom.
    styles
        Style of each variant.
    can_be_log
        Whether values far apart stand on a logarithmic axis, which has no place for 0.
    """
    mine = frame[frame["cost"] == column]
    values = mine["value"][mine["value"] > 0.0]
    unit = display_unit(column, float(values.max()) if len(values) else 0.0)
    is_log = can_be_log and len(values) > 1 and float(values.max() / values.min()) >= _LOG_FROM
    _limit_costs(ax, values / unit.scale, is_log=is_log)
    for place, (variant, split) in enumerate(rows):
        runs = mine[(mine["variant"] == variant) & (mine["split"] == split)]
        if runs.empty:
            continue
        first, style = runs.iloc[0], styles[variant]
        dots = runs["value"].dropna() / unit.scale
        if first["num_reached"] == first["n"]:
            mean, half = first["mean"] / unit.scale, first["half_width"] / unit.scale
            if is_log:
                ax.plot(mean, place, marker="|", markersize=11, markeredgewidth=1.4, color=INK)
            else:
                ax.barh(place, mean, height=0.62, color=style.colour, alpha=0.35, lw=0)
            if np.isfinite(half):
                ax.errorbar(mean, place, xerr=half, color=INK, lw=0.9, capsize=2)
        ax.plot(dots, [place] * len(dots), ls="", marker=style.marker, color=style.colour,
                markersize=3.2, markeredgewidth=0)  # fmt: skip
        if first["num_reached"] < first["n"]:
            _say_missing(ax, place, dots.to_list(), f"{first['num_reached']} of {first['n']}")
    for place in range(1, len(rows)):
        if rows[place][1] != rows[place - 1][1]:
            ax.axhline(place - 0.5, color=RULE, lw=0.8)
    _label_rows(ax, len(rows))
    ax.set_xlabel(axis_label(column, unit=unit.symbol))


def _limit_costs(ax: Axes, values: "pd.Series[float]", *, is_log: bool) -> None:
    """Leave room right of the largest value for words."""
    if values.empty:
        ax.set_xlim(0.0, 1.0)
        ax.set_xticks([])
    elif is_log:
        use_log_x(ax)
        ax.set_xlim(values.min() / 2.0, values.max() * (values.max() / values.min()) ** 0.3)
    else:
        ax.set_xlim(0.0, 1.45 * values.max())


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


def _label_rows(ax: Axes, count: int) -> None:
    ax.set_ylim(count - 0.45, -0.55)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)


def draw_stack(
    frame: pd.DataFrame,
    ax: Axes,
    *,
    column: str,
    variants: Sequence[str],
    colours: Mapping[str, str],
    room: float,
) -> list[Patch]:
    """Draw one stacked bar a variant, its total with interval at the end.

    Parameters
    ----------
    frame
        Columns ``variant``, ``part``, ``mean``, ``total``, ``total_half_width``.
    ax
        Where to draw.
    column
        Column name whose words and unit go on the axis.
    variants
        From top to bottom.
    colours
        Colour of each part; other parts are grey and hatched.
    room
        Space for the totals, as a share of the longest bar.

    Returns
    -------
    list of Patch
        Legend entries, in stacking order.
    """
    largest = float(frame["total"].max()) if len(frame) else 0.0
    unit = display_unit(column, largest)
    handles = _stack(frame, ax, scale=unit.scale, variants=variants, colours=colours)
    totals = {row["variant"]: row for row in frame.to_dict("records")}
    for place, name in enumerate(variants):
        if name in totals:
            total, half = (totals[name][key] / unit.scale for key in ("total", "total_half_width"))
            text = with_interval(total, half)
            ax.annotate(text, xy=(total, place), xytext=(4, 0), va="center",
                        textcoords="offset points", fontsize=6.5, color=INK)  # fmt: skip
    ax.set_xlim(0.0, (1.0 + room) * largest / unit.scale if largest > 0.0 else 1.0)
    ax.set_xlabel(axis_label(column, unit=unit.symbol))
    return handles


def draw_shares(
    frame: pd.DataFrame,
    ax: Axes,
    *,
    variants: Sequence[str],
    colours: Mapping[str, str],
    whole: str,
) -> None:
    """Draw one stacked bar a variant, of the shares that the parts have in its total.

    Parameters
    ----------
    frame, ax, variants, colours
        As for :func:`draw_stack`.
    whole
        What the parts are shares of, for the axis.
    """
    shares = frame.assign(mean=100 * frame["mean"] / frame["total"].where(frame["total"] > 0))
    _stack(shares.fillna({"mean": 0.0}), ax, scale=1.0, variants=variants, colours=colours)
    ax.set_xlim(0.0, 100.0)
    ax.set_xlabel(f"share of {whole} [%]")


def _stack(
    frame: pd.DataFrame,
    ax: Axes,
    *,
    scale: float,
    variants: Sequence[str],
    colours: Mapping[str, str],
) -> list[Patch]:
    """Draw the bars of a stack; return its legend entries."""
    handles: list[Patch] = []
    left = dict.fromkeys(variants, 0.0)
    for part in dict.fromkeys(frame["part"]):
        rows = frame[frame["part"] == part].set_index("variant")["mean"]
        widths = [float(rows.get(name, 0.0)) / scale for name in variants]
        bars: BarContainer = ax.barh(
            range(len(variants)),
            widths,
            left=[left[name] for name in variants],
            height=0.62,
            color=colours.get(part, MUTED),
            hatch=None if part in colours else "////",
            edgecolor=PAPER,
            linewidth=0.6,
            label=figure_text(part),
        )
        handles.append(Patch(facecolor=bars[0].get_facecolor(), hatch=bars[0].get_hatch(),
                             edgecolor=PAPER, label=figure_text(part)))  # fmt: skip
        left = {name: left[name] + w for name, w in zip(variants, widths, strict=True)}
    _label_rows(ax, len(variants))
    ax.grid(visible=False, axis="x")
    return handles


def draw_cdf(
    frame: pd.DataFrame,
    ax: Axes,
    *,
    styles: Mapping[str, LineStyle],
    column: str = "duration_s",
    what: str = "duration",
) -> None:
    """Draw empirical distributions; the axis is logarithmic when durations span decades.

    Parameters
    ----------
    frame
        As :func:`analysis.series.cdf_frame` gives it.
    ax
        Where to draw.
    styles
        Style of each variant.
    column
        Column of the values.
    what
        Words for the x axis.
    """
    positive = frame.loc[frame[column] > 0.0, column]
    is_log = len(positive) > 1 and float(positive.max() / positive.quantile(0.05)) >= _LOG_FROM
    unit = display_unit(column, float(positive.max()) if len(positive) else 0.0)
    if is_log:
        use_log_x(ax)
    for variant, rows in frame.groupby("variant", sort=False):
        style = styles[str(variant)]
        x = rows[column].to_numpy(dtype=np.float64) / unit.scale
        share = rows["share"].to_numpy(dtype=np.float64)
        ax.step(
            np.r_[x[:1], x],
            np.r_[0.0, share],
            where="post",
            color=style.colour,
            linestyle=style.dash,
            marker=style.marker,
            markevery=(1, max(1, math.ceil(len(x) / 5))),
            markeredgewidth=0,
        )
    ax.set_ylim(0.0, 1.02)
    ax.set_xlabel(f"{what} [{unit.symbol}]")
