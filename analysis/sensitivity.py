"""How the final metric moves with a number that the study varies: one line a method."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.canvas import figure_of, is_stacked, legend_above, one_axes, panels
from analysis.intervals import drawn_half_width, interval_ends, support_of
from analysis.knob_words import knob_scale, knob_words
from analysis.limits import fitted_limits, goes_on_words, mark_cut
from analysis.load import Results
from analysis.log_axis import plain_power, use_log_x
from analysis.manifest import Variant, setting_words
from analysis.participation import target_split
from analysis.picture import Picture, Subject, add_legend, drawn_words
from analysis.plots import PANEL_IN, curve_handles
from analysis.ranking import MANY_VARIANTS
from analysis.stats import final_values, mean_ci
from analysis.style import LineStyle, styles_of, variant_styles, with_background
from analysis.tables import metrics_of
from analysis.text_safety import figure_text, file_name

LEAST_VALUES = 3
"""Fewer values of a knob make no line [our choice]."""
MOST_PANELS = 3
"""Knobs that are drawn."""
_LOG_FROM = 30.0
_COLUMNS = ["knob", "line", "value", "variant", "mean", "half_width", "n"]


def numeric_knobs(results: Results) -> list[str]:
    """Return the knobs with at least :data:`LEAST_VALUES` values, all of them finite numbers."""
    found = []
    for knob in dict.fromkeys(knob for each in results.variants for knob in each.knobs):
        values = [each.knobs[knob] for each in results.variants if knob in each.knobs]
        if all(_is_number(value) for value in values) and len(set(values)) >= LEAST_VALUES:
            found.append(knob)
    return found


def sensitivity_frame(
    results: Results, *, knob: str, metric: str, split: str = "personal"
) -> pd.DataFrame:
    """Return the final metric against the values of one knob.

    Returns
    -------
    pandas.DataFrame
        One row a variant that has the knob and the metric: ``knob``, ``line`` (its method, and its
        case and other knobs in words), ``value`` of the knob, ``variant``, ``mean``,
        ``half_width`` and ``n`` over seeds. Lines are in the order of the scenario, values rise.
    """
    final = final_values(results.used(results.evaluations))
    final = final[(final["metric"] == metric) & (final["split"] == split)].dropna(subset=["mean"])
    means = mean_ci(final, by="variant", value="mean").to_dict("index")
    rows = [
        {"knob": knob, "line": _line(each, knob), "value": float(str(each.knobs[knob])),
         "variant": each.name, **means[each.name]}
        for each in results.variants
        if _is_number(each.knobs.get(knob)) and each.name in means
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=_COLUMNS)
    order = {line: place for place, line in enumerate(dict.fromkeys(frame["line"]))}
    return frame.sort_values(
        ["line", "value"], key=lambda column: column.map(order) if column.name == "line" else column
    ).reset_index(drop=True)


def draw_sensitivity(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    metric: str,
    styles: Mapping[str, LineStyle] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the final metric against the values of one knob, one line a method, with whiskers.

    Parameters
    ----------
    frame
        As :func:`sensitivity_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.
    metric
        Name on the y axis.
    styles
        Of each line; ``None``: those of the frame, named as they are.
    legend
        Whether the lines are named above the Axes.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on; logarithmic where the values are positive and far apart. Ticks are the
        values of the knob.
    """
    known = styles_of(frame["line"], styles)
    with one_axes(ax, height_in=PANEL_IN) as drawn:
        half_width = drawn_half_width(frame["half_width"], frame["n"])
        low, high = interval_ends(frame["mean"], half_width, support=support_of(metric))
        ends = frame.assign(low=low, high=high)
        values = sorted(set(frame["value"]))
        if len(values) > 1 and values[0] > 0.0 and values[-1] >= _LOG_FROM * values[0]:
            use_log_x(drawn)
        limits = fitted_limits(ends["mean"], ends["low"], ends["high"])
        if limits is not None:
            drawn.set_ylim(limits)
        for line, rows in ends.groupby("line", sort=False):
            style = known[str(line)]
            whiskers = np.stack([rows["mean"] - rows["low"], rows["high"] - rows["mean"]])
            drawn.errorbar(
                rows["value"],
                rows["mean"],
                yerr=None if style.is_background else np.nan_to_num(whiskers),
                color=style.colour,
                ls=style.dash,
                marker=style.marker,
                markeredgewidth=0,
                elinewidth=0.7,
                lw=0.8 if style.is_background else 1.2,
                zorder=1.8 if style.is_background else 2.5,
            )
            if not style.is_background:
                mark_cut(drawn, "y", at=rows["value"], low=rows["low"], high=rows["high"],
                         colour=style.colour)  # fmt: skip
        if values:
            knob = str(frame["knob"].iloc[0])
            scale, unit = knob_scale(knob, values[-1])
            ticks = values[:: max(1, -(-len(values) // 7))]
            drawn.set_xticks(ticks, [plain_power(each / scale) for each in ticks])
            drawn.set_xticks([], minor=True)
            words = f"{knob_words(knob)} [{unit}]" if unit else knob_words(knob)
            drawn.set_xlabel(figure_text(words))
        drawn.set_ylabel(figure_text(f"final {metric.replace('_', ' ')}"))
        if legend and len(frame):
            legend_above(drawn, curve_handles(known, list(known)), is_new=ax is None)
    return drawn


def sensitivity_subjects(results: Results) -> list[Subject]:
    """One subject a metric with a target, in studies that vary a number."""
    if not numeric_knobs(results):
        return []
    rows = results.used(results.evaluations).dropna(subset=["mean"])
    found = []
    for metric in metrics_of(results):
        split = target_split(results, metric)
        is_there = ((rows["metric"] == metric) & (rows["split"] == split)).any()
        if metric in results.targets and is_there:
            found.append(Subject(metric=metric, split=split))
    return found


def sensitivity_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the final metric against every knob that is a number."""
    metric, split = subject.metric_and_split()
    parts = [
        sensitivity_frame(results, knob=knob, metric=metric, split=split)
        for knob in numeric_knobs(results)
    ]
    return pd.concat(parts, ignore_index=True)


def draw_sensitivity_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw one panel a knob, one page wide."""
    metric, split = subject.metric_and_split()
    knobs = list(dict.fromkeys(frame["knob"]))
    shown = knobs[:MOST_PANELS]
    drawn = frame[frame["knob"].isin(shown)]
    lines = dict.fromkeys(map(str, drawn["line"]))
    styles = with_background(variant_styles({line: line for line in lines}), MANY_VARIANTS)
    _, axes = panels(PANEL_IN, columns=len(shown))
    for place, (ax, knob) in enumerate(zip(axes, shown, strict=True)):
        own = drawn[drawn["knob"] == knob]
        draw_sensitivity(own, ax, metric=metric, styles=styles, legend=False)
        if place and not is_stacked():
            ax.set_ylabel("")
    figure = figure_of(axes[0])
    named = {line: style for line, style in styles.items() if not style.is_background}
    add_legend(figure, curve_handles(named, list(named)))
    grey, rest = len(styles) - len(named), len(knobs) - len(shown)
    model = {"global": "the global model", "finetuned": "the fine-tuned models"}
    return Picture(
        name=file_name(f"sensitivity_{metric}"),
        title=f"Final {metric} against what the study varies",
        caption=f"Final {metric} of {model.get(split, 'the personal models')} against the value of "
        f"{', '.join(map(knob_words, shown))}; all else on a line is the same. Mean over seeds; "
        f"whiskers: {drawn_words(drawn)}."
        f"{f' The {grey} lines after the first {len(named)} are grey.' if grey else ''}"
        f"{f' {rest} further knobs are in the data alone.' if rest else ''}"
        f"{goes_on_words(figure)}",
        figure=figure,
        data=frame,
    )


def _is_number(value: object) -> bool:
    is_plain = isinstance(value, int | float) and not isinstance(value, bool)
    return is_plain and math.isfinite(float(str(value)))


def _line(variant: Variant, knob: str) -> str:
    """Return the words of all that variants of a line share."""
    others = {key: value for key, value in variant.knobs.items() if key != knob}
    words = setting_words(others)
    return f"{variant.method_label}, {words}" if words else variant.method_label
