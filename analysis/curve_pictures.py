"""Figures of a metric against what it cost: one panel a cost, or all four on a page."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.canvas import figure_of, is_stacked, panels
from analysis.facets import (
    draw_facets,
    facet_words,
    facets_of,
    has_facets,
    rival_handles,
    rival_styles,
)
from analysis.limits import goes_on_words
from analysis.load import Results
from analysis.picture import Picture, Subject, add_legend, cost_words, drawn_words, mark_costs
from analysis.plots import curve_handles, draw_curves, value_limits
from analysis.ranking import MANY_VARIANTS
from analysis.series import absent_variants, curve_frame
from analysis.settings import compared
from analysis.stats import COSTS, Cost
from analysis.style import (
    BACKGROUND,
    COLUMN_WIDTH_IN,
    LineStyle,
    variant_styles,
    with_background,
)
from analysis.tables import followed_splits, metrics_of, target_name
from analysis.text_safety import figure_text, file_name
from analysis.units import axis_label, words_of


def curve_subjects(results: Results) -> list[Subject]:
    """One subject a metric, split and cost."""
    return [
        Subject(metric=subject.metric, split=subject.split, cost=cost)
        for subject in overview_subjects(results)
        for cost in COSTS.values()
    ]


def overview_subjects(results: Results) -> list[Subject]:
    """One subject a metric and split that has a curve."""
    return [
        Subject(metric=metric, split=split)
        for metric in metrics_of(results)
        for split in followed_splits(results, metric)
    ]


def one_curve_frame(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the mean curves against the subject's cost."""
    metric, split = subject.metric_and_split()
    return curve_frame(results, metric=metric, split=split, cost=_cost(subject))


def overview_frame(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the mean curves against all costs: column ``cost`` names what is in column ``x``."""
    metric, split = subject.metric_and_split()
    parts = [
        curve_frame(results, metric=metric, split=split, cost=cost)
        .rename(columns={cost.column: "x"})
        .assign(cost=cost.column)
        for cost in COSTS.values()
    ]
    return pd.concat(parts, ignore_index=True)


def draw_curve(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw a metric against one cost, one column wide."""
    (metric, split), cost = subject.metric_and_split(), _cost(subject)
    if has_facets(results):
        return _draw_facets(results, subject, frame, frame, cost)
    styles = with_background(variant_styles(results.labels), MANY_VARIANTS)
    figure = Figure(figsize=(COLUMN_WIDTH_IN, 2.7), layout="constrained")
    ax = figure.subplots()
    target = results.targets.get(metric)
    drawn = _drawn(frame, styles)
    draw_curves(
        drawn, ax, column=cost.column, styles=styles, metric=metric, target=target, legend=False
    )
    ax.set_ylabel(_value_label(metric, split))
    _add_curve_legend(figure, results, subject, frame, styles)
    mark_costs(figure, results)
    return Picture(
        name=file_name(f"{metric}_{split}_vs_{cost.key}"),
        title=f"{_value_words(metric, split)} against {words_of(cost.column)}",
        caption=_caption(results, metric, split, {cost.column: frame}, figure),
        figure=figure,
        data=frame,
        in_report=False,
    )


def draw_overview(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw a metric against all four costs, one page wide; in facets against simulated time."""
    metric, split = subject.metric_and_split()
    if has_facets(results):
        cost = COSTS["seconds"]
        rows = frame[frame["cost"] == cost.column].rename(columns={"x": cost.column})
        return _draw_facets(results, subject, rows, frame, cost)
    styles = with_background(variant_styles(results.labels), MANY_VARIANTS)
    figure, axes = panels(4.7, rows=2, columns=2, sharey=True)
    target = results.targets.get(metric)
    drawn = _drawn(frame, styles)
    frames = {
        cost.column: drawn[drawn["cost"] == cost.column].rename(columns={"x": cost.column})
        for cost in COSTS.values()
    }
    limits = value_limits(drawn, metric=metric, target=target)
    for ax, letter, (column, rows) in zip(axes, "abcd", frames.items(), strict=True):
        draw_curves(
            rows,
            ax,
            column=column,
            styles=styles,
            metric=metric,
            target=target,
            limits=limits,
            legend=False,
        )
        ax.set_ylabel(_value_label(metric, split) if letter in "ac" or is_stacked() else "")
        ax.set_title(f"({letter})", loc="left", fontweight="bold")
    _add_curve_legend(figure, results, subject, frame, styles)
    mark_costs(figure, results)
    return Picture(
        name=file_name(f"{metric}_{split}"),
        title=f"{_value_words(metric, split)} against time, energy, bytes and rounds",
        caption=_caption(results, metric, split, frames, figure),
        figure=figure,
        data=frame,
    )


def _draw_facets(
    results: Results, subject: Subject, rows: pd.DataFrame, data: pd.DataFrame, cost: Cost
) -> Picture:
    """Draw one panel a setting, one page wide; ``data`` is what is written beside the figure."""
    metric, split = subject.metric_and_split()
    facets = facets_of(results, rows)
    target = results.targets.get(metric)
    styles = rival_styles(results)
    axes = draw_facets(
        rows,
        facets=facets,
        styles=styles,
        column=cost.column,
        metric=metric,
        label=_value_label(metric, split).replace(", ", ",\n"),
        target=target,
    )
    figure = figure_of(axes[0])
    add_legend(figure, rival_handles(facets, styles), remark=_absent_remark(results, metric, split))
    mark_costs(figure, results)
    is_overview = subject.cost is None
    name = f"{metric}_{split}" if is_overview else f"{metric}_{split}_vs_{cost.key}"
    words = facet_words(facets)
    if is_overview:
        words += " The same against other costs: files of the same name that end in _vs_ and it."
    return Picture(
        name=file_name(name),
        title=f"{_value_words(metric, split)} against {words_of(cost.column)}, by setting",
        caption=_caption(results, metric, split, {cost.column: rows}, figure, words=words),
        figure=figure,
        data=data,
        in_report=is_overview,
    )


def _drawn(frame: pd.DataFrame, styles: Mapping[str, LineStyle]) -> pd.DataFrame:
    """Leave bands and single seeds out where many curves would drown in them."""
    if not _are_many(styles):
        return frame
    return frame[frame["series"] == "mean"].assign(band=float("nan"))


def _are_many(styles: Mapping[str, LineStyle]) -> bool:
    return any(style.is_background for style in styles.values())


def _cost(subject: Subject) -> Cost:
    if subject.cost is None:
        msg = f"subject: must have a cost, got {subject}"
        raise ValueError(msg)
    return subject.cost


def _value_label(metric: str, split: str) -> str:
    words = figure_text(metric.replace("_", " "))
    return f"{words}, {split} model{'' if split == 'global' else 's'}"


def _value_words(metric: str, split: str) -> str:
    words = metric.replace("_", " ")
    models = {"global": "global model", "finetuned": "fine-tuned models"}.get(
        split, "personal models"
    )
    return f"{words[:1].upper()}{words[1:]} of the {models}"


def _add_curve_legend(
    figure: Figure,
    results: Results,
    subject: Subject,
    frame: pd.DataFrame,
    styles: Mapping[str, LineStyle],
) -> None:
    metric, split = subject.metric_and_split()
    shown = list(dict.fromkeys(frame["variant"]))
    remark = _absent_remark(results, metric, split)
    named = [name for name in shown if not styles[name].is_background]
    handles = curve_handles(styles, named)
    if len(named) < len(shown):
        handles += _background_handle(len(shown) - len(named))
    add_legend(figure, handles, remark=remark)


def _absent_remark(results: Results, metric: str, split: str) -> str:
    absent = [figure_text(label) for label in _absent(results, metric, split)]
    return f"no {split} model: {'; '.join(absent)}" if absent else ""


def _absent(results: Results, metric: str, split: str) -> list[str]:
    """Name the variants without a model on a split; in facets methods that have none anywhere."""
    absent = absent_variants(results, metric=metric, split=split)
    if not has_facets(results):
        return absent
    known = compared(results)
    all_of: dict[str, set[str]] = {}
    for variant in results.variants:
        all_of.setdefault(known[variant.name][0], set()).add(variant.label)
    rivals = [rival for rival, labels in all_of.items() if labels <= set(absent)]
    return [*rivals, *(a for a in absent if not any(a in all_of[rival] for rival in rivals))]


def _background_handle(count: int) -> list[Line2D]:
    words = "1 other variant" if count == 1 else f"{count} other variants"
    return [Line2D([], [], color=BACKGROUND, lw=0.8, label=words)]


def _caption(
    results: Results,
    metric: str,
    split: str,
    frames: Mapping[str, pd.DataFrame],
    figure: Figure,
    *,
    words: str = "",
) -> str:
    """State what the panels show; ``frames`` holds the rows of each by cost column.

    ``words`` say what panels are where they are settings.
    """
    rows = pd.concat([frame for frame in frames.values() if len(frame)], ignore_index=True)
    means = rows[rows["series"] == "mean"]
    against = ", ".join(axis_label(column) for column in frames)
    text = f"{_value_words(metric, split)} against {against}. Lines: mean over seeds"
    if len(results.variants) > MANY_VARIANTS and not words:
        text += f", without bands; variants after the first {MANY_VARIANTS} are grey."
    else:
        text += _band_words(rows, means) + words
    if any((frame.groupby("variant")[column].max() <= 0).any() for column, frame in frames.items()):
        text += " Horizontal line: final value of a variant that sends nothing."
    absent = _absent(results, metric, split)
    if absent:
        text += f" Without a {split} model, hence not shown: {'; '.join(absent)}."
    if metric in results.targets:
        text += f" Dashed: target, {target_name(metric, results.targets[metric])}."
    return text + goes_on_words(figure) + cost_words(results)


def _band_words(rows: pd.DataFrame, means: pd.DataFrame) -> str:
    has_band = bool((means["n"] > 1).any())
    text = f"; bands: {drawn_words(means)}." if has_band else " (one seed: no band)."
    if (rows["series"] != "mean").any():
        text += " Thin lines: single seeds beyond the point that all seeds reached."
    return text
