"""Drawing: each function puts one data frame on one Axes, reads and writes no file."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.intervals import Support, interval_ends, support_of
from analysis.limits import fitted_limits, mark_cut
from analysis.log_axis import use_log_x
from analysis.stats import is_better_low
from analysis.style import INK, MUTED, PAPER, LineStyle
from analysis.text_safety import figure_text
from analysis.units import DisplayUnit, axis_label, display_unit, with_interval

LOG_FROM = 30.0
"""Ratio of the longest curve to the shortest from which the axis is logarithmic."""


def draw_curves(
    frame: pd.DataFrame,
    ax: Axes,
    *,
    column: str,
    styles: Mapping[str, LineStyle],
    metric: str,
    target: float | None = None,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draw mean curves with their bands against one cost.

    A band that goes on beyond the axis has an arrowhead where it is widest.

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
    limits
        Of the y axis, where several panels share it; see :func:`value_limits`.
    """
    support = support_of(metric)
    unit = display_unit(column, float(frame[column].max()) if len(frame) else 0.0)
    ends = frame.groupby("variant", sort=False)[column].max()
    paying = ends[ends > 0.0]
    is_log = len(paying) > 1 and float(paying.max() / paying.min()) >= LOG_FROM
    if is_log:
        use_log_x(ax)
    for variant, rows in frame.groupby("variant", sort=False):
        style = styles[str(variant)]
        if ends[variant] <= 0.0:
            _draw_level(rows, ax, style, support=support)
            continue
        for series, line in rows.groupby("series", sort=False):
            shown = line[line[column] > 0.0] if is_log else line
            if series == "mean":
                _draw_mean(
                    _with_ends(shown, support=support),
                    ax,
                    x=shown[column].to_numpy(dtype=np.float64) / unit.scale,
                    style=style,
                )
            else:
                x = shown[column] / unit.scale
                ax.plot(x, shown["mean"], color=style.colour, lw=0.6, alpha=0.7)
    if not is_log:
        ax.set_xlim(left=0.0)
    if column == "round":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    found = limits or value_limits(frame, metric=metric, target=target)
    if found is not None:
        ax.set_ylim(found)
    _mark_cut_bands(frame, ax, column=column, unit=unit, styles=styles, metric=metric)
    if target is not None:
        draw_target(ax, metric, target)
    ax.set_xlabel(axis_label(column, unit=unit.symbol))
    ax.set_ylabel(figure_text(metric.replace("_", " ")))


def _with_ends(rows: pd.DataFrame, *, support: Support) -> pd.DataFrame:
    low, high = interval_ends(rows["mean"], rows["band"], support=support)
    return rows.assign(low=low, high=high)


def _draw_mean(
    rows: pd.DataFrame, ax: Axes, *, x: npt.NDArray[np.float64], style: LineStyle
) -> None:
    if np.isfinite(rows["low"]).any():
        ax.fill_between(x, rows["low"], rows["high"], color=style.colour, alpha=0.12, lw=0)
    ax.plot(
        x,
        rows["mean"],
        color=style.colour,
        linestyle=style.dash,
        marker=style.marker,
        markevery=max(1, math.ceil(len(x) / 7)),
        markeredgewidth=0,
        lw=0.8 if style.is_background else None,
        zorder=1.8 if style.is_background else None,
        clip_on=False,  # markers on an axis are whole; the limits hold every mean
    )


def _draw_level(rows: pd.DataFrame, ax: Axes, style: LineStyle, *, support: Support) -> None:
    last = _with_ends(rows.iloc[-1:], support=support).iloc[0]
    line = ax.axhline(last["mean"], color=style.colour, linestyle=style.dash)
    if style.is_background:
        line.set(lw=0.8, zorder=1.8)
    ax.plot([0.0, 1.0], [last["mean"]] * 2, ls="", marker=style.marker, color=style.colour,
            transform=ax.get_yaxis_transform(), clip_on=False, markeredgewidth=0)  # fmt: skip
    if np.isfinite(last["band"]):
        ax.axhspan(last["low"], last["high"], color=style.colour, alpha=0.1, lw=0)


def value_limits(
    frame: pd.DataFrame, *, metric: str, target: float | None
) -> tuple[float, float] | None:
    """Return limits of the y axis that hold curves, target and bands, or most of wide bands."""
    ends = _with_ends(frame, support=support_of(metric))
    values = [*frame["mean"], *([] if target is None else [target])]
    return fitted_limits(values, ends["low"], ends["high"])


def _mark_cut_bands(
    frame: pd.DataFrame,
    ax: Axes,
    *,
    column: str,
    unit: DisplayUnit,
    styles: Mapping[str, LineStyle],
    metric: str,
) -> None:
    """Put an arrowhead on the edge above and below each band that goes on, where it is widest."""
    ends = _with_ends(frame, support=support_of(metric)).dropna(subset=["low"])
    for variant, rows in ends.groupby("variant", sort=False):
        pays = bool(rows[column].max() > 0.0)
        shown = rows if pays else rows.iloc[-1:]
        left, right = ax.get_xlim()
        colour = styles[str(variant)].colour
        at = shown[column].to_numpy(dtype=np.float64) / unit.scale
        low, high = (shown[end].to_numpy(dtype=np.float64) for end in ("low", "high"))
        outermost = [int(low.argmin()), int(high.argmax())]
        mark_cut(
            ax,
            "y",
            at=at[outermost] if pays else [(left + right) / 2] * 2,
            low=[low.min(), np.nan],
            high=[np.nan, high.max()],
            colour=colour,
        )


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


def label_rows(ax: Axes, count: int) -> None:
    """Give every row of a chart of bars its room; the first one is on top."""
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
            text = with_interval(total, half, support="positive")
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
    label_rows(ax, len(variants))
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
    is_log = len(positive) > 1 and float(positive.max() / positive.quantile(0.05)) >= LOG_FROM
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
