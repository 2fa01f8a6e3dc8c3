"""Figures of costs: what a target cost, where the joules and the seconds of a run went."""

import pandas as pd
from matplotlib.artist import Artist

from analysis.canvas import figure_of, is_stacked, panels
from analysis.censored import not_reached_words
from analysis.limits import goes_on_words
from analysis.load import Results
from analysis.picture import (
    Picture,
    Subject,
    add_legend,
    cost_words,
    drawn_words,
    mark_costs,
    spread_words,
)
from analysis.plots import curve_handles, draw_cdf
from analysis.ranking import MANY_VARIANTS, draw_ranking, ranking_frame
from analysis.series import (
    cdf_frame,
    energy_frame,
    latency_frame,
    round_durations,
    target_frame,
    transfer_durations,
)
from analysis.settings import compared, draw_settings, has_settings, settings_frame, settings_of
from analysis.stacks import draw_shares, draw_stack, stack_handles
from analysis.stats import BETWEEN
from analysis.style import variant_styles
from analysis.tables import followed_splits, interval_note, metrics_of, target_name
from analysis.target_bars import draw_cost_panels
from analysis.text_safety import file_name

_EVERYTHING = (Subject(),)


def ranking_subjects(results: Results) -> list[Subject]:
    """One subject a metric, in studies with too many variants for curves."""
    is_large = len(results.variants) > MANY_VARIANTS
    return [Subject(metric=metric) for metric in metrics_of(results)] if is_large else []


def target_subjects(results: Results) -> list[Subject]:
    """One subject a metric that has a target."""
    return [Subject(metric=m) for m in metrics_of(results) if m in results.targets]


def settings_subjects(results: Results) -> list[Subject]:
    """One subject a metric whose target was reached, where several methods had several settings.

    Lines of more than :data:`MANY_VARIANTS` methods could not be told apart.
    """
    rivals = {rival for rival, _ in compared(results).values()}
    if not has_settings(results) or len(rivals) > MANY_VARIANTS:
        return []
    return [
        subject
        for subject in target_subjects(results)
        if settings_frame(results, metric=_metric(subject))["mean"].notna().any()
    ]


def energy_subjects(results: Results) -> tuple[Subject, ...]:
    """Whether the ledger of energy has rows."""
    return _EVERYTHING if len(results.used(results.energy)) else ()


def latency_subjects(results: Results) -> tuple[Subject, ...]:
    """Whether any client's update was received."""
    is_received = results.used(results.clients)["outcome"] == "received"
    return _EVERYTHING if is_received.any() else ()


def duration_subjects(results: Results) -> tuple[Subject, ...]:
    """Whether any round ended."""
    return _EVERYTHING if len(results.used(results.rounds)) else ()


def ranking_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return final metric and total costs of every variant."""
    return ranking_frame(results, metric=_metric(subject))


def target_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the cost to target of every run."""
    metric = _metric(subject)
    splits, target = followed_splits(results, metric), results.targets[metric]
    return target_frame(results, metric=metric, target=target, splits=splits)


def settings_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the cost to target of every method in every setting."""
    return settings_frame(results, metric=_metric(subject))


def energy_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return joules by owner kind and activity."""
    return energy_frame(results)


def latency_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return seconds of a round by phase."""
    return latency_frame(results)[0]


def duration_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the distributions of round and transfer times, told apart by column ``what``."""
    panels = {
        "round time": round_durations(results),
        "uplink transfer time": transfer_durations(results, direction="uplink"),
        "downlink transfer time": transfer_durations(results, direction="downlink"),
    }
    parts = [cdf_frame(rows).assign(what=what) for what, rows in panels.items() if len(rows)]
    return pd.concat(parts, ignore_index=True)


def draw_ranking_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw where every method ends and what it spent, one page wide."""
    metric = _metric(subject)
    note = interval_note(int(frame["n"].min()))
    figure = figure_of(draw_ranking(frame, metric=metric)[0])
    mark_costs(figure, results)
    return Picture(
        name=file_name(f"{metric}_ranking"),
        title=f"Final {metric} of every method, and what it cost",
        caption=(
            "One row a method, one dot a setting; best personal models on top. Costs are those of "
            f"the whole run, bytes on a logarithmic scale above 1 MB. {note}{goes_on_words(figure)}"
            f"{cost_words(results)}"
        ),
        figure=figure,
        data=frame,
    )


def draw_target_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw what it cost each variant to meet the target, one page wide."""
    metric = _metric(subject)
    target, splits = results.targets[metric], followed_splits(results, metric)
    styles = variant_styles(results.labels)
    have = set(zip(frame["variant"], frame["split"], strict=True))
    order = [(v.name, s) for s in splits for v in results.variants if (v.name, s) in have]
    columns = ("at_s", "energy_j", "uplink_mb")
    axes = draw_cost_panels(frame, columns=columns, rows=order, styles=styles)
    figure = figure_of(axes[0])
    mark_costs(figure, results)
    name = target_name(metric, target)
    return Picture(
        name=file_name(f"to_{metric}_{target:g}"),
        title=f"Cost to {name}",
        caption=f"What each variant spent until {_where_met(results, name)}. Bars (upright "
        "ticks on a logarithmic axis): mean over seeds, only where every seed got there; "
        f"whiskers: {drawn_words(frame)}; dots: single seeds."
        f"{not_reached_words(frame, results.labels)}{goes_on_words(figure)}{cost_words(results)}",
        figure=figure,
        data=frame,
    )


def _where_met(results: Results, name: str) -> str:
    if results.interpolates:
        return f"it had {name}, {BETWEEN}"
    return f"its first evaluation with {name}"


def draw_settings_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw how the cost to target of the methods changes with the setting, one page wide."""
    metric = _metric(subject)
    target = results.targets[metric]
    settings = settings_of(results)
    axes = draw_settings(frame, settings=settings, legend=False)
    figure = figure_of(axes[0])
    handles, _ = axes[0].get_legend_handles_labels()
    add_legend(figure, handles)
    mark_costs(figure, results)
    name = target_name(metric, target)
    return Picture(
        name=file_name(f"settings_{metric}_{target:g}"),
        title=f"Cost to {name} in every setting",
        caption="One line a method; where lines cross, the order of the methods changes. Mean over "
        f"seeds, only where every seed got there; whiskers: {drawn_words(frame)}."
        f"{not_reached_words(frame, results.labels)}{cost_words(results)}",
        figure=figure,
        data=frame,
    )


def draw_energy_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw joules of clients and sites by activity, one page wide."""
    owners = [owner for owner in ("client", "site") if (frame["owner"] == owner).any()]
    variants = [v.name for v in results.variants if (frame["variant"] == v.name).any()]
    figure, axes = panels(0.95 + 0.26 * len(variants), columns=len(owners), sharey=True)
    labels = {name: results.labels[name] for name in variants}
    handles: dict[str, Artist] = {}
    for ax, owner in zip(axes, owners, strict=True):
        rows = frame[frame["owner"] == owner]
        column = "energy_j" if owner == "client" else "site_energy_j"
        draw_stack(rows, ax, column=column, labels=labels, legend=False)
        handles |= stack_handles(rows)
    add_legend(figure, list(handles.values()))
    mark_costs(figure, results)
    return Picture(
        name="energy_breakdown",
        title="Where the joules went",
        caption="Energy of a whole run by activity, sum over all clients (first panel) and "
        f"all sites (second panel): mean over seeds, total {spread_words(frame)}."
        f"{cost_words(results)}",
        figure=figure,
        data=frame,
    )


def draw_latency_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw what a round of a client is made of, one page wide."""
    variants = [v.name for v in results.variants if (frame["variant"] == v.name).any()]
    figure, (ax, shares) = panels(0.95 + 0.26 * len(variants), columns=2, sharey=True)
    labels = {name: results.labels[name] for name in variants}
    draw_stack(frame, ax, column="round_time_s", labels=labels, legend=False)
    draw_shares(frame, shares, whole="the round", labels=labels, legend=False)
    add_legend(figure, list(stack_handles(frame).values()))
    mark_costs(figure, results)
    rest = (
        "“wait” is the rest of the round, queueing and slower clients"
        if (frame["part"] == "wait").any()
        else "the server did not wait for every client, so no rest of the round is shown"
    )
    return Picture(
        name="round_breakdown",
        title="What a round is made of",
        caption="Seconds (first panel) and shares of the round (second panel) of the mean client "
        f"whose update was received, mean over rounds, then over seeds, total "
        f"{spread_words(frame)}; {rest}.{cost_words(results)}",
        figure=figure,
        data=frame,
    )


def draw_duration_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw the distributions of round and transfer times, one page wide."""
    styles = variant_styles(results.labels)
    durations = list(dict.fromkeys(frame["what"]))
    figure, axes = panels(2.6, columns=len(durations), sharey=True)
    for ax, what in zip(axes, durations, strict=True):
        draw_cdf(frame[frame["what"] == what], ax, styles=styles, what=what, legend=False)
    for ax in [] if is_stacked() else axes[1:]:
        ax.set_ylabel("")
    add_legend(figure, list(curve_handles(styles, list(dict.fromkeys(frame["variant"])))))
    mark_costs(figure, results)
    return Picture(
        name="duration_cdf",
        title="How long rounds and transfers take",
        caption="Empirical distributions over all rounds and delivered transfers, seeds pooled; a "
        f"transfer lasts from request to end, queueing included.{cost_words(results)}",
        figure=figure,
        data=frame,
    )


def _metric(subject: Subject) -> str:
    if subject.metric is None:
        msg = f"subject: must have a metric, got {subject}"
        raise ValueError(msg)
    return subject.metric
