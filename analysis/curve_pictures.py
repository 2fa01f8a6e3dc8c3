"""Figures of a metric against what it cost: one panel a cost, or all four on a page."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.canvas import is_stacked, panels
from analysis.limits import goes_on_words
from analysis.load import Results
from analysis.picture import Picture, Subject, add_legend, cost_words, drawn_words, mark_costs
from analysis.plots import curve_handles, draw_curves, value_limits
from analysis.ranking import MANY_VARIANTS
from analysis.series import absent_variants, curve_frame
from analysis.stats import COSTS, Cost
from analysis.style import (
    BACKGROUND,
    COLUMN_WIDTH_IN,
    LineStyle,
    variant_styles,
    with_background,
)
from analysis.tables import metrics_of, splits_of, target_name
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
    """One subject a metric and split."""
    return [
        Subject(metric=metric, split=split)
        for metric in metrics_of(results)
        for split in splits_of(results, metric)
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
    """Draw a metric against all four costs, one page wide."""
    metric, split = subject.metric_and_split()
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
    absent = [figure_text(label) for label in absent_variants(results, metric=metric, split=split)]
    remark = f"no {split} model: {'; '.join(absent)}" if absent else ""
    named = [name for name in shown if not styles[name].is_background]
    handles = curve_handles(styles, named)
    if len(named) < len(shown):
        handles += _background_handle(len(shown) - len(named))
    add_legend(figure, handles, remark=remark)


def _background_handle(count: int) -> list[Line2D]:
    words = "1 other variant" if count == 1 else f"{count} other variants"
    return [Line2D([], [], color=BACKGROUND, lw=0.8, label=words)]


def _caption(
    results: Results,
    metric: str,
    split: str,
    frames: Mapping[str, pd.DataFrame],
    figure: Figure,
) -> str:
    """State what the panels show; ``frames`` holds the rows of each by cost column."""
    rows = pd.concat([frame for frame in frames.values() if len(frame)], ignore_index=True)
    means = rows[rows["series"] == "mean"]
    against = ", ".join(axis_label(column) for column in frames)
    text = f"{_value_words(metric, split)} against {against}. Lines: mean over seeds"
    if len(results.variants) > MANY_VARIANTS:
        text += f", without bands; variants after the first {MANY_VARIANTS} are grey."
    else:
        text += _band_words(rows, means)
    if any((frame.groupby("variant")[column].max() <= 0).any() for column, frame in frames.items()):
        text += " Horizontal line: final value of a variant that sends nothing."
    absent = absent_variants(results, metric=metric, split=split)
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
