"""Figure of studies in which nothing was trained: what runs took, and who took part."""

import pandas as pd

from analysis.canvas import figure_of
from analysis.limits import goes_on_words
from analysis.load import Results
from analysis.participation import participation_runs
from analysis.picture import Picture, Subject, cost_words, drawn_words, mark_costs
from analysis.stats import mean_ci
from analysis.style import variant_styles
from analysis.target_bars import draw_cost_panels
from analysis.text_safety import figure_text
from analysis.totals import TIMING_ONLY, TOTALS, run_totals

PANELS = ("at_s", "energy_j", "wasted_percent", "jain_index")
"""Panels of the figure."""

_WHOLE = "run"
"""Stands for a split: whole runs, no evaluation."""


def total_subjects(results: Results) -> list[Subject]:
    """One subject where nothing was trained and clients took part."""
    has_rows = results.is_timing_only and len(results.used(results.clients)) > 0
    return [Subject()] if has_rows else []


def total_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the panels of the figure, one row a variant, panel and seed.

    Returns
    -------
    pandas.DataFrame
        As :func:`analysis.series.target_frame`, with :data:`PANELS` in column ``cost``.
    """
    runs = run_totals(results).merge(
        participation_runs(results)[["variant", "seed", "wasted_percent", "jain_index"]],
        on=["variant", "seed"],
    )
    parts = []
    for name in PANELS:
        means = mean_ci(runs, by="variant", value=name)
        means = means.assign(num_reached=means["n"])
        single = runs[["variant", "seed"]].assign(split=_WHOLE, cost=name, value=runs[name])
        parts.append(single.merge(means, left_on="variant", right_index=True))
    columns = ["variant", "split", "cost", "seed", "value"]
    columns += ["mean", "half_width", "num_reached", "n"]
    return pd.concat(parts, ignore_index=True)[columns]


def draw_total_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw time, energy, what of it was in vain and evenness of participation, one page wide."""
    styles = variant_styles(results.labels)
    variants = [v for v in results.variants if (frame["variant"] == v.name).any()]
    order = [(variant.name, _WHOLE) for variant in variants]
    linear = [column for column in PANELS if column not in TOTALS]
    axes = draw_cost_panels(frame, columns=PANELS, rows=order, styles=styles, linear=linear)
    figure = figure_of(axes[0])
    is_one_method = len({variant.method_label for variant in variants}) == 1
    names = [v.setting if is_one_method and v.setting else v.label for v in variants]
    axes[0].set_yticks(range(len(order)), [figure_text(name) for name in names])
    mark_costs(figure, results)
    return Picture(
        name="totals",
        title="What runs took, and who took part",
        caption=f"{TIMING_ONLY[0].upper()}{TIMING_ONLY[1:]}. Simulated time and client energy of "
        "whole runs; the part of what participations spent whose updates were not merged; how "
        "evenly the updates came from all clients (1: all equally many). Bars (upright ticks on a "
        f"logarithmic axis): mean over seeds; whiskers: {drawn_words(frame)}; dots: single "
        f"seeds.{goes_on_words(figure)}{cost_words(results)}",
        figure=figure,
        data=frame,
    )
