"""Pareto fronts: which variants no other one beats in the final metric and in a cost at once."""

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.canvas import is_stacked, legend_above, one_axes, panels
from analysis.facets import rival_styles
from analysis.intervals import drawn_half_width, interval_ends, support_of
from analysis.limits import fitted_limits, goes_on_words, mark_cut
from analysis.load import Results
from analysis.log_axis import label_log_x, use_log_x
from analysis.participation import target_split
from analysis.picture import Picture, Subject, add_legend, cost_words, drawn_words, mark_costs
from analysis.ranking import MANY_VARIANTS
from analysis.settings import compared, has_settings, settings_of
from analysis.stats import final_values, is_better_low, mean_ci
from analysis.style import BACKGROUND, MUTED, LineStyle, styles_of, variant_styles
from analysis.tables import metrics_of
from analysis.text_safety import figure_text, file_name
from analysis.units import axis_label, display_unit

COSTS = ("at_s", "energy_j", "uplink_mb")
"""Costs of a whole run, in the order of the panels."""
LEAST_VARIANTS = 3
"""Fewer variants are compared better by their curves [our choice]."""
_LOG_FROM = 8.0
"""Ratio of the largest cost to the smallest from which the axis is logarithmic."""
_MOST_TICKS = 5
_PANEL_IN = 2.5
MOST_SETTINGS = 2
"""Settings with panels: the first and the last one; the data have all [our choice]."""
_COLUMNS = [
    *("variant", "setting", "cost", "cost_mean", "cost_half_width"),
    *("mean", "half_width", "n", "is_front"),
]


def is_non_dominated(
    costs: npt.ArrayLike, values: npt.ArrayLike, *, is_lower_better: bool = False
) -> npt.NDArray[np.bool_]:
    """Return which points no other point dominates.

    A point dominates another one if it is at least as good in both, and better in one: less cost,
    a better value. Equal points do not dominate one another. A point with a NaN is not on the
    front, and dominates none.

    Parameters
    ----------
    costs
        Shape ``(point,)``; less is better.
    values
        Shape ``(point,)``; more is better, unless ``is_lower_better``.

    Examples
    --------
    >>> is_non_dominated([1.0, 2.0, 3.0], [0.5, 0.9, 0.8]).tolist()
    [True, True, False]
    """
    cost = np.asarray(costs, dtype=np.float64)
    value = np.asarray(values, dtype=np.float64) * (-1.0 if is_lower_better else 1.0)
    is_no_worse = (cost[:, None] <= cost) & (value[:, None] >= value)
    is_better = (cost[:, None] < cost) | (value[:, None] > value)
    is_known = np.isfinite(cost) & np.isfinite(value)
    found: npt.NDArray[np.bool_] = is_known & ~(is_no_worse & is_better).any(axis=0)
    return found


def pareto_frame(results: Results, *, metric: str, split: str) -> pd.DataFrame:
    """Return the final metric and the costs of the whole run, and who is on the front.

    Returns
    -------
    pandas.DataFrame
        One row a variant and cost: ``variant``, ``setting`` (empty where all variants compete),
        ``cost`` (a column of :data:`COSTS`), ``cost_mean``, ``cost_half_width``, ``mean`` and
        ``half_width`` of the metric, ``n`` seeds, ``is_front``: whether no other variant of the
        setting is better in one of the two means and at least as good in the other one. Intervals
        play no part in it.
    """
    known = compared(results) if has_settings(results) else {}
    final = final_values(results.used(results.evaluations))
    final = final[(final["metric"] == metric) & (final["split"] == split)]
    final = final.dropna(subset=["mean"])
    final = final.assign(uplink_mb=final["uplink_bytes"] / 1e6)
    values = mean_ci(final, by="variant", value="mean")
    settings = [known.get(str(name), ("", ""))[1] for name in values.index]
    parts = []
    for cost in COSTS:
        spent = mean_ci(final, by="variant", value=cost)
        part = values.assign(
            setting=settings,
            cost=cost,
            cost_mean=spent["mean"],
            cost_half_width=spent["half_width"],
            is_front=False,
        )
        for own in part.groupby("setting", sort=False).groups.values():
            part.loc[own, "is_front"] = is_non_dominated(
                part.loc[own, "cost_mean"],
                part.loc[own, "mean"],
                is_lower_better=is_better_low(metric),
            )
        parts.append(part.reset_index())
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def draw_pareto(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    metric: str,
    column: str = "energy_j",
    styles: Mapping[str, LineStyle] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the final metric against one cost, one point a variant, and the front as steps.

    Parameters
    ----------
    frame
        As :func:`pareto_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.
    metric
        Name on the y axis.
    column
        The cost, of :data:`COSTS`.
    styles
        Of each variant; ``None``: those of the frame, named as they are. Those in the background
        are grey.
    legend
        Whether the variants are named above the Axes.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on. Points on the front are filled, the others hollow.
    """
    known = styles_of(frame["variant"], styles)
    rows = frame[frame["cost"] == column]
    unit = display_unit(column, float(rows["cost_mean"].max()) if len(rows) else 0.0)
    with one_axes(ax, height_in=_PANEL_IN + 0.2) as drawn:
        scaled = rows.assign(
            cost_mean=rows["cost_mean"] / unit.scale,
            cost_half_width=rows["cost_half_width"] / unit.scale,
        )
        ends = _with_ends(scaled, metric=metric)
        if len(ends):
            _set_limits(ends, drawn)
            _draw_steps(ends, drawn, is_lower_better=is_better_low(metric))
        for row in ends.to_dict("records"):
            _draw_point(row, drawn, known[str(row["variant"])])
        for row in ends.to_dict("records"):
            mark_cut(drawn, "y", at=[row["cost_mean"]], low=[row["low"]], high=[row["high"]],
                     colour=known[str(row["variant"])].colour)  # fmt: skip
        drawn.set_xlabel(axis_label(column, unit=unit.symbol))
        drawn.set_ylabel(figure_text(f"final {metric.replace('_', ' ')}"))
        if legend:
            legend_above(drawn, pareto_handles(frame, known), is_new=ax is None)
    return drawn


def pareto_handles(frame: pd.DataFrame, styles: Mapping[str, LineStyle]) -> list[Artist]:
    """Return the legend entries: variants that are not in the background, then the front."""
    have = set(map(str, frame["variant"]))
    shown = {style.label: style for name, style in styles.items() if name in have}
    handles: list[Artist] = [
        Line2D([], [], ls="", marker=s.marker, color=s.colour, ms=4.5, label=s.label)
        for s in shown.values()
        if not s.is_background
    ]
    num_grey = sum(style.is_background for style in shown.values())
    if num_grey:
        word = "other" if num_grey == 1 else "others"
        handles.append(Line2D([], [], ls="", marker="o", color=BACKGROUND, mfc="none", ms=4,
                              label=f"{num_grey} {word}"))  # fmt: skip
    handles.append(Line2D([], [], color=MUTED, lw=0.9, ls=(0, (3, 1.5)), label="Pareto front"))
    return handles


def pareto_subjects(results: Results) -> list[Subject]:
    """One subject a metric that has a target, in studies of several variants."""
    found = []
    for metric in metrics_of(results):
        if metric not in results.targets:
            continue
        split = target_split(results, metric)
        rows = results.used(results.evaluations)
        rows = rows[(rows["metric"] == metric) & (rows["split"] == split)].dropna(subset=["mean"])
        if rows["variant"].nunique() >= LEAST_VARIANTS:
            found.append(Subject(metric=metric, split=split))
    return found


def pareto_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return final metric, costs and front."""
    metric, split = subject.metric_and_split()
    return pareto_frame(results, metric=metric, split=split)


def draw_pareto_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw one panel a cost, one page wide."""
    metric, split = subject.metric_and_split()
    styles = _styles(results, frame)
    known = settings_of(results) if has_settings(results) else [""]
    settings = [setting for setting in known if (frame["setting"] == setting).any()]
    rows = settings if len(settings) <= MOST_SETTINGS else [settings[0], settings[-1]]
    height_in = _PANEL_IN if len(rows) == 1 else 0.5 + 2.0 * len(rows)
    figure, axes = panels(height_in, rows=len(rows), columns=len(COSTS))
    for ax, (setting, cost) in zip(axes, itertools.product(rows, COSTS), strict=True):
        own = frame[frame["setting"] == setting]
        draw_pareto(own, ax, metric=metric, column=cost, styles=styles, legend=False)
        if not is_stacked() and cost != COSTS[0]:
            ax.set_ylabel("")
        if is_stacked() or cost == COSTS[0]:
            ax.set_title(figure_text(setting), loc="left", parse_math=False)
    add_legend(figure, pareto_handles(frame, styles))
    mark_costs(figure, results)
    model = {"global": "the global model", "finetuned": "the fine-tuned models"}
    rest = len(settings) - len(rows)
    apart = " Variants compete within a setting, one row of panels each" if settings[0] else ""
    left_out = f"; settings in between, in the data alone: {rest}" if rest else ""
    is_grey = any(style.is_background for style in styles.values())
    return Picture(
        name=file_name(f"pareto_{metric}"),
        title=f"Final {metric} against what the whole run cost",
        caption=f"Final {metric} of {model.get(split, 'the personal models')} against time, client "
        "energy and uplink bytes of the whole run, mean over seeds; whiskers: "
        f"{drawn_words(frame)}. Filled: on the Pareto front, no other variant has a better mean "
        "in one and at least as good a mean in the other. Hollow: some other variant has."
        f"{apart}{left_out}{'.' if apart else ''}"
        f"{' Grey: on no front.' if is_grey else ''}"
        f"{goes_on_words(figure)}{cost_words(results)}",
        figure=figure,
        data=frame,
    )


def _styles(results: Results, frame: pd.DataFrame) -> dict[str, LineStyle]:
    """Return the styles of a study; with many variants those off all fronts are grey."""
    if has_settings(results):
        of_rival = rival_styles(results)
        rivals = {name: rival for name, (rival, _) in compared(results).items()}
        styles = {name: of_rival[rival] for name, rival in rivals.items()}
    else:
        styles, rivals = variant_styles(results.labels), {name: name for name in results.labels}
    if len(set(rivals.values())) <= MANY_VARIANTS:
        return styles
    on_front = dict.fromkeys(rivals[str(name)] for name in frame[frame["is_front"]]["variant"])
    coloured = variant_styles({rival: rival for rival in dict.fromkeys(rivals.values())})
    return {
        name: replace(coloured[rivals[name]], label=style.label)
        if rivals[name] in on_front
        else LineStyle(style.label, BACKGROUND, "solid", "o", is_background=True)
        for name, style in styles.items()
    }


def _with_ends(rows: pd.DataFrame, *, metric: str) -> pd.DataFrame:
    """Add the ends of what is drawn as whiskers, the mean itself where there are none."""
    low, high = interval_ends(
        rows["mean"], drawn_half_width(rows["half_width"], rows["n"]), support=support_of(metric)
    )
    left, right = interval_ends(
        rows["cost_mean"],
        drawn_half_width(rows["cost_half_width"], rows["n"]),
        support="positive",
    )
    mean, cost = rows["mean"].to_numpy(), rows["cost_mean"].to_numpy()
    return rows.assign(
        low=np.where(np.isnan(low), mean, low),
        high=np.where(np.isnan(high), mean, high),
        left=np.where(np.isnan(left), cost, left),
        right=np.where(np.isnan(right), cost, right),
    )


def _set_limits(ends: pd.DataFrame, ax: Axes) -> None:
    """Set limits that hold all costs, and the metric with its intervals where they fit."""
    limits = fitted_limits(ends["mean"], ends["low"], ends["high"])
    if limits is not None:
        ax.set_ylim(limits)
    paying = ends[ends["cost_mean"] > 0.0]
    least, largest = float(paying["left"].min()), float(ends["right"].max())
    if len(paying) and largest >= _LOG_FROM * least:
        has_zero = len(paying) < len(ends)  # who sends nothing stands at 0
        use_log_x(ax, scale="symlog" if has_zero else "log", linear_to=least)
        ax.set_xlim(-0.3 * least if has_zero else least / 1.3, largest * 1.4)
        first = 3.0 * least if has_zero else least / 1.3
        label_log_x(ax, first, largest * 1.4, most=_MOST_TICKS, has_zero=has_zero)
        return
    room = 0.06 * (largest - float(ends["left"].min())) or 0.05 * abs(largest) or 1.0
    ax.set_xlim(float(ends["left"].min()) - room, largest + room)


def _draw_steps(ends: pd.DataFrame, ax: Axes, *, is_lower_better: bool) -> None:
    """Draw the best metric that a cost buys, from the cheapest point to the right edge."""
    front = ends[ends["is_front"]].sort_values(["cost_mean", "mean"])
    if front.empty:
        return
    edge = ax.get_ylim()[1 if is_lower_better else 0]
    x = [front["cost_mean"].iloc[0], *front["cost_mean"], ax.get_xlim()[1]]
    y = [edge, *front["mean"], front["mean"].iloc[-1]]
    ax.step(x, y, where="post", color=MUTED, lw=0.9, ls=(0, (3, 1.5)), zorder=1.6)


def _draw_point(row: Mapping[object, object], ax: Axes, style: LineStyle) -> None:
    """Draw one variant with its whiskers."""
    x, y = float(str(row["cost_mean"])), float(str(row["mean"]))
    left, right, low, high = (float(str(row[name])) for name in ("left", "right", "low", "high"))
    ax.errorbar(
        [x],
        [y],
        xerr=[[x - left], [right - x]],
        yerr=[[y - low], [high - y]],
        fmt=style.marker if not style.is_background else "o",
        color=style.colour,
        mfc=style.colour if row["is_front"] else "white",
        ms=4.5,
        mew=0.9,
        elinewidth=0.7,
        zorder=2.5 if style.is_background else 3,
    )
