"""The figures of a study: data, drawing and caption joined; and how they are written to files."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.load import Results
from analysis.plots import (
    curve_handles,
    draw_cdf,
    draw_curves,
    draw_stack,
    draw_target_costs,
)
from analysis.ranking import MANY_VARIANTS, draw_ranking, ranking_frame
from analysis.series import (
    absent_variants,
    cdf_frame,
    curve_frame,
    energy_frame,
    latency_frame,
    round_durations,
    target_frame,
    transfer_durations,
)
from analysis.stats import COSTS, Cost
from analysis.style import (
    ACTIVITY_COLOURS,
    COLUMN_WIDTH_IN,
    MUTED,
    PAGE_WIDTH_IN,
    PHASE_COLOURS,
    LineStyle,
    as_text,
    variant_styles,
)
from analysis.tables import interval_note, metrics_of, splits_of, target_name
from analysis.units import axis_label, words_of

_LEGEND_ROW_IN = 0.15
"""Height of one row of the legend."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One drawn figure with the data that it shows."""

    name: str
    """File name without ending."""
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame
    in_report: bool = True
    """False for a single panel that the report shows as part of a larger figure."""


@dataclass(frozen=True, kw_only=True)
class SavedFigure:
    """Files of one figure."""

    name: str
    title: str
    caption: str
    png: Path
    svg: Path
    csv: Path
    in_report: bool


def all_pictures(results: Results) -> Iterator[Picture]:
    """Draw every figure that the rows support, one at a time; call within ``figure_style()``."""
    styles = variant_styles(results.labels)
    is_large = len(results.variants) > MANY_VARIANTS
    for metric in metrics_of(results):
        if is_large:
            yield ranking_picture(results, metric=metric)
        for split in [] if is_large else splits_of(results, metric):
            yield overview_picture(results, metric=metric, split=split, styles=styles)
            for cost in COSTS.values():
                yield curve_picture(results, metric=metric, split=split, cost=cost, styles=styles)
        if metric in results.targets:
            yield target_picture(results, metric=metric, styles=styles)
    if len(results.used(results.energy)):
        yield energy_picture(results)
    if (results.used(results.clients)["outcome"] == "received").any():
        yield latency_picture(results)
    if len(results.used(results.rounds)):
        yield cdf_picture(results, styles=styles)


def save_picture(picture: Picture, folder: Path) -> SavedFigure:
    """Write PNG, SVG (text as text) and the data as CSV; same picture, same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = SavedFigure(
        name=picture.name,
        title=picture.title,
        caption=picture.caption,
        png=folder / f"{picture.name}.png",
        svg=folder / f"{picture.name}.svg",
        csv=folder / f"{picture.name}.csv",
        in_report=picture.in_report,
    )
    picture.figure.savefig(saved.png, metadata={"Software": None})
    picture.figure.savefig(saved.svg, metadata={"Date": None, "Creator": None})
    picture.data.to_csv(saved.csv, index=False, lineterminator="\n")
    return saved


def curve_picture(
    results: Results, *, metric: str, split: str, cost: Cost, styles: dict[str, LineStyle]
) -> Picture:
    """Draw a metric against one cost, one column wide."""
    frame = curve_frame(results, metric=metric, split=split, cost=cost)
    figure = Figure(figsize=(COLUMN_WIDTH_IN, 2.7))
    ax = figure.subplots()
    target = results.targets.get(metric)
    draw_curves(frame, ax, column=cost.column, styles=styles, metric=metric, target=target)
    ax.set_ylabel(_value_label(metric, split))
    _curve_legend(figure, results, metric=metric, split=split, frames=[frame], styles=styles)
    _mark_costs(figure, results)
    return Picture(
        name=f"{metric}_{split}_vs_{cost.key}",
        title=f"{_value_words(metric, split)} against {words_of(cost.column)}",
        caption=_curve_caption(results, metric, split, [frame], [cost]),
        figure=figure,
        data=frame,
        in_report=False,
    )


def overview_picture(
    results: Results, *, metric: str, split: str, styles: dict[str, LineStyle]
) -> Picture:
    """Draw a metric against all four costs, one page wide."""
    figure = Figure(figsize=(PAGE_WIDTH_IN, 4.7))
    axes = figure.subplots(2, 2, sharey=True)
    frames = []
    for ax, letter, cost in zip(axes.flat, "abcd", COSTS.values(), strict=True):
        frame = curve_frame(results, metric=metric, split=split, cost=cost)
        target = results.targets.get(metric)
        draw_curves(frame, ax, column=cost.column, styles=styles, metric=metric, target=target)
        ax.set_ylabel(_value_label(metric, split) if letter in "ac" else "")
        ax.set_title(f"({letter})", loc="left", fontweight="bold")
        frames.append(frame)
    _share_value_limits(list(axes.flat))
    _curve_legend(figure, results, metric=metric, split=split, frames=frames, styles=styles)
    _mark_costs(figure, results)
    data = [
        frame.rename(columns={cost.column: "x"}).assign(cost=cost.column)
        for frame, cost in zip(frames, COSTS.values(), strict=True)
    ]
    return Picture(
        name=f"{metric}_{split}",
        title=f"{_value_words(metric, split)} against time, energy, bytes and rounds",
        caption=_curve_caption(results, metric, split, frames, list(COSTS.values())),
        figure=figure,
        data=pd.concat(data, ignore_index=True),
    )


def ranking_picture(results: Results, *, metric: str) -> Picture:
    """Draw where every method ends and what it spent, one page wide."""
    frame = ranking_frame(results, metric=metric)
    note = interval_note(int(frame["n"].min()))
    return Picture(
        name=f"{metric}_ranking",
        title=f"Final {metric} of every method, and what it cost",
        caption=(
            "One row a method, one dot a setting; best own models on top. Costs are those of the "
            f"whole run, bytes on a logarithmic scale above 1 MB. {note}"
        ),
        figure=draw_ranking(frame, metric=metric),
        data=frame,
    )


def target_picture(results: Results, *, metric: str, styles: dict[str, LineStyle]) -> Picture:
    """Draw what it cost each variant to meet the target, one page wide."""
    target = results.targets[metric]
    splits = splits_of(results, metric)
    frame = target_frame(results, metric=metric, target=target, splits=splits)
    have = set(zip(frame["variant"], frame["split"], strict=True))
    order = [(v.name, s) for s in splits for v in results.variants if (v.name, s) in have]
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.75 + 0.25 * len(order)))
    axes = figure.subplots(1, 3, sharey=True)
    shown = ("at_s", "energy_j", "uplink_mb")
    for ax, column in zip(axes, shown, strict=True):
        draw_target_costs(frame, ax, column=column, rows=order, styles=styles)
    names = [as_text(results.labels[v]) + (f", {s}" if len(splits) > 1 else "") for v, s in order]
    axes[0].set_yticks(range(len(order)), names)
    _mark_costs(figure, results)
    name = target_name(metric, target)
    return Picture(
        name=f"to_{metric}_{target:g}",
        title=f"Cost to {name}",
        caption=f"What each variant spent until its first evaluation with {name}. Bars (upright "
        "ticks on a logarithmic axis): mean over seeds, only where every seed got there; "
        f"whiskers: {_interval_words(frame)}; dots: single seeds.{_cost_words(results)}",
        figure=figure,
        data=frame,
    )


def energy_picture(results: Results) -> Picture:
    """Draw joules of clients and sites by activity, one page wide."""
    frame = energy_frame(results)
    owners = [owner for owner in ("client", "site") if (frame["owner"] == owner).any()]
    variants = [v.name for v in results.variants if (frame["variant"] == v.name).any()]
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.95 + 0.26 * len(variants)))
    axes = figure.subplots(1, len(owners), sharey=True, squeeze=False)[0]
    handles: dict[str, Artist] = {}
    for ax, owner in zip(axes, owners, strict=True):
        rows = frame[frame["owner"] == owner]
        column = "energy_j" if owner == "client" else "site_energy_j"
        drawn = draw_stack(
            rows, ax, column=column, variants=variants, colours=ACTIVITY_COLOURS, room=0.45
        )
        handles |= {str(patch.get_label()): patch for patch in drawn}
    axes[0].set_yticks(range(len(variants)), [as_text(results.labels[v]) for v in variants])
    _legend(figure, list(handles.values()))
    _mark_costs(figure, results)
    return Picture(
        name="energy_breakdown",
        title="Where the joules went",
        caption="Energy of a whole run by activity, sum over all clients (left) and all sites "
        f"(right): mean over seeds, total {_spread_words(frame)}.{_cost_words(results)}",
        figure=figure,
        data=frame,
    )


def latency_picture(results: Results) -> Picture:
    """Draw what a round of a client is made of, one page wide."""
    frame, has_wait = latency_frame(results)
    variants = [v.name for v in results.variants if (frame["variant"] == v.name).any()]
    figure = Figure(figsize=(PAGE_WIDTH_IN, 0.95 + 0.26 * len(variants)))
    ax = figure.subplots()
    handles = draw_stack(
        frame, ax, column="round_time_s", variants=variants, colours=PHASE_COLOURS, room=0.18
    )
    ax.set_yticks(range(len(variants)), [as_text(results.labels[v]) for v in variants])
    _legend(figure, list(handles))
    _mark_costs(figure, results)
    rest = (
        "“wait” is the rest of the round, queueing and slower clients"
        if has_wait
        else "the server did not wait for every client, so no rest of the round is shown"
    )
    return Picture(
        name="round_breakdown",
        title="What a round is made of",
        caption="Seconds of the mean client whose update was received, mean over rounds, then over "
        f"seeds, total {_spread_words(frame)}; {rest}.{_cost_words(results)}",
        figure=figure,
        data=frame,
    )


def cdf_picture(results: Results, *, styles: dict[str, LineStyle]) -> Picture:
    """Draw the distributions of round and transfer times, one page wide."""
    panels = {
        "round time": round_durations(results),
        "uplink transfer time": transfer_durations(results, direction="uplink"),
        "downlink transfer time": transfer_durations(results, direction="downlink"),
    }
    frames = {what: cdf_frame(rows) for what, rows in panels.items() if len(rows)}
    figure = Figure(figsize=(PAGE_WIDTH_IN, 2.6))
    axes = figure.subplots(1, len(frames), sharey=True, squeeze=False)[0]
    for ax, (what, frame) in zip(axes, frames.items(), strict=True):
        draw_cdf(frame, ax, styles=styles, what=what)
    axes[0].set_ylabel("share at or below")
    seen = list(dict.fromkeys(name for frame in frames.values() for name in frame["variant"]))
    _legend(figure, list(curve_handles(styles, seen)))
    _mark_costs(figure, results)
    data = [frame.assign(what=what) for what, frame in frames.items()]
    return Picture(
        name="duration_cdf",
        title="How long rounds and transfers take",
        caption="Empirical distributions over all rounds and delivered transfers, seeds pooled; a "
        f"transfer lasts from request to end, queueing included.{_cost_words(results)}",
        figure=figure,
        data=pd.concat(data, ignore_index=True),
    )


def _value_label(metric: str, split: str) -> str:
    return f"{metric.replace('_', ' ')}, {split} model{'s' if split == 'personal' else ''}"


def _value_words(metric: str, split: str) -> str:
    words = metric.replace("_", " ")
    models = "global model" if split == "global" else "personal models"
    return f"{words[:1].upper()}{words[1:]} of the {models}"


def _share_value_limits(axes: Sequence[object]) -> None:
    """Widen the shared y axis to the outermost of what each panel asked for."""
    lows, highs = zip(*(ax.get_ylim() for ax in axes), strict=True)  # type: ignore[attr-defined]
    axes[0].set_ylim(min(lows), max(highs))  # type: ignore[attr-defined]


def _curve_legend(
    figure: Figure,
    results: Results,
    *,
    metric: str,
    split: str,
    frames: Sequence[pd.DataFrame],
    styles: dict[str, LineStyle],
) -> None:
    shown = list(dict.fromkeys(name for frame in frames for name in frame["variant"]))
    absent = absent_variants(results, metric=metric, split=split)
    remark = as_text(f"no {split} model: {'; '.join(absent)}") if absent else ""
    _legend(figure, curve_handles(styles, shown), remark=remark)


def _legend(figure: Figure, handles: Sequence[Artist], *, remark: str = "") -> None:
    """Put the legend above the axes, in as many columns as the width takes."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    width = figure.get_figwidth()
    columns = max(1, min(len(handles), int(width / (0.055 * longest + 0.5))))
    rows = math.ceil(len(handles) / columns) + (1 if remark else 0)
    figure.set_figheight(figure.get_figheight() + _LEGEND_ROW_IN * max(0, rows - 2))
    legend = figure.legend(
        handles=list(handles),
        loc="outside upper center",
        ncols=columns,
        columnspacing=1.4,
        handlelength=1.2 if isinstance(handles[0], Patch) else 2.6,
        borderaxespad=0.2,
        title="\n".join(textwrap.wrap(remark, int(width / 0.06))) or None,
        title_fontproperties={"size": 6.5, "style": "italic"},
    )
    legend.get_title().set_color(MUTED)


def _mark_costs(figure: Figure, results: Results) -> None:
    """Write on the figure itself which architecture the costs stand for."""
    if results.cost_label:
        figure.supxlabel(
            as_text(f"costs as {results.cost_label}"), x=0.99, ha="right", fontsize=6, color=MUTED
        )


def _cost_words(results: Results) -> str:
    return f" Costs as: {results.cost_label}." if results.cost_label else ""


def _interval_words(frame: pd.DataFrame) -> str:
    counts = sorted({int(n) for n in frame["n"]})
    if counts == [1]:
        return "no interval (one seed)"
    listed = " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
    return f"95 % Student-t interval (n = {listed} seeds)"


def _band_words(frame: pd.DataFrame) -> str:
    if int(frame["n"].max()) == 2:
        return "range of two seeds (too few for an interval that fits the picture)"
    return _interval_words(frame)


def _spread_words(frame: pd.DataFrame) -> str:
    if (frame["n"] == 1).all():
        return "of one seed, hence without interval"
    return f"± {_interval_words(frame)}"


def _curve_caption(
    results: Results,
    metric: str,
    split: str,
    frames: Sequence[pd.DataFrame],
    costs: Sequence[Cost],
) -> str:
    rows = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    means = rows[rows["series"] == "mean"]
    against = ", ".join(axis_label(cost.column) for cost in costs)
    text = f"{_value_words(metric, split)} against {against}. Lines: mean over seeds"
    text += f"; bands: {_band_words(means)}." if (means["n"] > 1).any() else " (one seed: no band)."
    if (rows["series"] != "mean").any():
        text += " Thin lines: single seeds beyond the point that all seeds reached."
    if any(
        (frame.groupby("variant")[c.column].max() <= 0).any()
        for frame, c in zip(frames, costs, strict=True)
    ):
        text += " Horizontal line: final value of a variant that sends nothing."
    absent = absent_variants(results, metric=metric, split=split)
    if absent:
        text += f" Without a {split} model, hence not shown: {'; '.join(absent)}."
    if metric in results.targets:
        text += f" Dashed: target, {target_name(metric, results.targets[metric])}."
    return text + _cost_words(results)
