"""Drawing: each function puts one data frame on one Axes, given or made, and returns it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.canvas import legend_above, one_axes
from analysis.intervals import Support, interval_ends, support_of
from analysis.limits import fitted_limits, mark_cut
from analysis.log_axis import use_log_x
from analysis.stats import is_better_low
from analysis.style import MUTED, LineStyle, styles_of
from analysis.text_safety import figure_text
from analysis.units import DisplayUnit, axis_label, display_unit

PANEL_IN = 2.7
"""Height of a figure of one panel."""
LOG_FROM = 30.0
"""Ratio of the longest curve to the shortest from which the axis is logarithmic."""


@dataclass(frozen=True, slots=True)
class CostAxis:
    """The x axis of curves: its unit, and whether it is logarithmic."""

    unit: DisplayUnit
    is_log: bool
    least: float
    """Smallest positive cost, in the unit; NaN without any."""
    largest: float

    @classmethod
    def of(cls, frame: pd.DataFrame, column: str) -> "CostAxis":
        """Return the axis that holds the curves of a frame; logarithmic where their ends differ."""
        largest = float(frame[column].max()) if len(frame) else 0.0
        unit = display_unit(column, largest)
        ends = frame.groupby("variant", sort=False)[column].max()
        paying = ends[ends > 0.0]
        is_log = len(paying) > 1 and float(paying.max() / paying.min()) >= LOG_FROM
        positive = frame[column][frame[column] > 0.0]
        return cls(unit, is_log, float(positive.min()) / unit.scale, largest / unit.scale)

    def limits(self) -> tuple[float, float]:
        """Return the limits of an axis that holds all of it."""
        if self.is_log:
            return self.least / 1.2, self.largest * 1.2
        return 0.0, 1.05 * self.largest or 1.0


def draw_curves(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    column: str,
    metric: str,
    styles: Mapping[str, LineStyle] | None = None,
    target: float | None = None,
    limits: tuple[float, float] | None = None,
    axis: CostAxis | None = None,
    legend: bool = True,
) -> Axes:
    """Draw mean curves with their bands against one cost.

    A band that goes on beyond the axis has an arrowhead where it is widest.

    A variant that never pays this cost (it sends nothing) is a horizontal line at its final value.

    Parameters
    ----------
    frame
        As :func:`analysis.series.curve_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.
    column
        Cost column of the frame, such as ``at_s``.
    metric
        Name on the y axis.
    styles
        Style of each variant, as :func:`analysis.style.variant_styles` gives them; ``None``: those
        of the frame, named as they are.
    target
        Drawn as a dashed line, named beside the axes.
    limits
        Of the y axis, where several panels share it; see :func:`value_limits`.
    axis
        The x axis, where several panels share it; ``None``: that of the frame.
    legend
        Whether the variants are named above the Axes.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on; its labels can be set as those of any other.
    """
    known = styles_of(frame["variant"], styles)
    with one_axes(ax, height_in=PANEL_IN) as drawn:
        shared = axis or CostAxis.of(frame, column)
        _draw_curves(frame, drawn, column=column, metric=metric, styles=known, axis=shared)
        if axis is not None:
            drawn.set_xlim(axis.limits())
        found = limits or value_limits(frame, metric=metric, target=target)
        if found is not None:
            drawn.set_ylim(found)
        _mark_cut_bands(frame, drawn, column=column, styles=known, unit=shared.unit, metric=metric)
        if target is not None:
            draw_target(drawn, metric, target)
        drawn.set_ylabel(figure_text(metric.replace("_", " ")))
        if legend:
            handles = curve_handles(known, list(dict.fromkeys(frame["variant"])))
            legend_above(drawn, handles, is_new=ax is None)
    _clip_when_limits_change(drawn)
    return drawn


def _clip_when_limits_change(ax: Axes) -> None:
    """Cut lines at the axes from then on: limits that somebody sets later may not hold them."""
    drawn = ax.get_xlim(), ax.get_ylim()

    def clip(changed: Axes) -> None:
        if (changed.get_xlim(), changed.get_ylim()) != drawn:
            for line in changed.lines:
                line.set_clip_on(True)

    for event in ("xlim_changed", "ylim_changed"):
        ax.callbacks.connect(event, clip)


def _draw_curves(
    frame: pd.DataFrame,
    ax: Axes,
    *,
    column: str,
    metric: str,
    styles: Mapping[str, LineStyle],
    axis: CostAxis,
) -> None:
    """Draw the curves and set the x axis."""
    unit, is_log = axis.unit, axis.is_log
    support = support_of(metric)
    ends = frame.groupby("variant", sort=False)[column].max()
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
    ax.set_xlabel(axis_label(column, unit=unit.symbol))


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
    styles: Mapping[str, LineStyle],
    unit: DisplayUnit,
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


def draw_cdf(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    column: str = "duration_s",
    what: str = "duration",
    styles: Mapping[str, LineStyle] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw empirical distributions; the axis is logarithmic when durations span decades.

    Parameters
    ----------
    frame
        As :func:`analysis.series.cdf_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.
    column
        Column of the values.
    what
        Words for the x axis.
    styles, legend
        As for :func:`draw_curves`.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    known = styles_of(frame["variant"], styles)
    positive = frame.loc[frame[column] > 0.0, column]
    unit = display_unit(column, float(positive.max()) if len(positive) else 0.0)
    is_wide = len(positive) > 1 and float(positive.max() / positive.quantile(0.05)) >= LOG_FROM
    is_log = is_wide and unit.symbol != "dB"
    with one_axes(ax, height_in=PANEL_IN) as drawn:
        if is_log:
            use_log_x(drawn)
        for variant, rows in frame.groupby("variant", sort=False):
            style = known[str(variant)]
            x = rows[column].to_numpy(dtype=np.float64) / unit.scale
            share = rows["share"].to_numpy(dtype=np.float64)
            drawn.step(
                np.r_[x[:1], x],
                np.r_[0.0, share],
                where="post",
                color=style.colour,
                linestyle=style.dash,
                marker=style.marker,
                markevery=(1, max(1, math.ceil(len(x) / 5))),
                markeredgewidth=0,
            )
        drawn.set_ylim(0.0, 1.02)
        drawn.set_xlabel(f"{what} [{unit.symbol}]")
        drawn.set_ylabel("share at or below")
        if legend:
            handles = curve_handles(known, list(dict.fromkeys(frame["variant"])))
            legend_above(drawn, handles, is_new=ax is None)
    return drawn
