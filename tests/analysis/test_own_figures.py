"""Figures of one's own: any Axes, no style around it, labels set afterwards."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import airtune
from analysis.canvas import figure_of, figure_style

figures = airtune.figures
DEFAULTS = {"axes.grid": False, "axes.spines.top": True, "font.size": 10.0, "text.parse_math": True}


def durations(results):
    return figures.cdf_frame(figures.round_durations(results))


def to_target(results):
    return figures.target_frame(results, metric="accuracy", target=0.8, splits=["personal"])


def of_clients(results):
    energy = figures.energy_frame(results)
    return energy[energy["owner"] == "client"]


def curves(results):
    cost = figures.COSTS["seconds"]
    return figures.curve_frame(results, metric="accuracy", split="personal", cost=cost)


def final(results):
    return figures.pareto_frame(results, metric="accuracy", split="personal")


def of_each_client(results):
    return figures.fairness_frame(results, metric="accuracy")


ONE = {
    "curves": (curves, lambda frame, ax: figures.draw_curves(
        frame, ax, column="at_s", metric="accuracy", target=0.8)),
    "cdf": (durations, lambda frame, ax: figures.draw_cdf(frame, ax, what="round time")),
    "target": (to_target, lambda frame, ax: figures.draw_target_costs(frame, ax, column="at_s")),
    "stack": (of_clients, lambda frame, ax: figures.draw_stack(frame, ax, column="energy_j")),
    "pareto": (final, lambda frame, ax: figures.draw_pareto(
        frame, ax, metric="accuracy", column="energy_j")),
    "fairness": (of_each_client, lambda frame, ax: figures.draw_fairness(
        frame, ax, metric="accuracy")),
    "shares": (of_clients, lambda frame, ax: figures.draw_shares(frame, ax, whole="the energy")),
}  # fmt: skip
"""One Axes: how the frame is made, and drawn."""


def ranked(study):
    return figures.ranking_frame(study, metric="accuracy")


def of_settings(study):
    return figures.settings_frame(study, metric="accuracy")


MANY = {
    "costs": ("results", 2, to_target, lambda frame, axes: figures.draw_cost_panels(
        frame, axes, columns=["at_s", "energy_j"])),
    "ranking": ("in_cases", 5, ranked, lambda frame, axes: figures.draw_ranking(
        frame, axes, metric="accuracy")),
    "settings": ("in_cases", 4, of_settings, figures.draw_settings),
    "preferences": ("rewarded", 2, lambda study: figures.FIGURES["preferences"].frame(study, None),
                    figures.draw_preference_panels),
}  # fmt: skip
"""Several Axes: study, number of panels, how the frame is made, and drawn."""


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@pytest.mark.parametrize("kind", ONE)
def test_an_axes_is_made_or_taken_and_returned(kind, results):
    make, draw = ONE[kind]
    frame = make(results)
    made = draw(frame, None)
    assert isinstance(made, Axes)
    ax = Figure(layout="constrained").subplots()
    assert draw(frame, ax) is ax
    assert ax.get_xlabel() == made.get_xlabel() != ""


@pytest.mark.parametrize("kind", ONE)
def test_the_look_needs_no_style_around_it(kind, results):
    """The same pixels, whatever matplotlib's settings are when the figure is made and drawn."""
    make, draw = ONE[kind]
    frame = make(results)
    with figure_style():
        expected = pixels(figure_of(draw(frame, None)))
    with mpl.rc_context(DEFAULTS):
        assert np.array_equal(pixels(figure_of(draw(frame, None))), expected)
        size_in = np.array(expected.shape[1::-1]) / 100
        given = Figure(figsize=size_in, dpi=100, layout="constrained").subplots()
        drawn = pixels(figure_of(draw(frame, given)))
    assert (drawn != expected).any(axis=2).mean() < 0.01


@pytest.mark.parametrize("kind", [kind for kind in ONE if kind != "target"])
@pytest.mark.parametrize("is_given", [True, False])
def test_the_legend_names_what_is_drawn_and_covers_nothing(kind, is_given, results):
    make, draw = ONE[kind]
    given = Figure(figsize=(4, 3), layout="constrained").subplots() if is_given else None
    ax = draw(make(results), given)
    assert len(ax.get_legend().get_texts()) >= 3
    ax.set_title("My words", loc="center")
    figure = figure_of(ax)
    figure.draw_without_rendering()
    legend, title = ax.get_legend().get_window_extent(), ax.title.get_window_extent()
    assert not legend.overlaps(ax.bbox)
    assert title.y0 >= legend.y1 - 1
    assert title.y1 <= figure.bbox.y1
    assert legend.x1 - legend.x0 <= figure.bbox.width


def test_labels_and_limits_are_set_as_those_of_any_axes(results):
    ax = figures.draw_curves(curves(results), column="at_s", metric="accuracy")
    ax.set(xlabel="time of day", ylabel="share right", xlim=(0, 50))
    ax.set_title("$x$", parse_math=True)
    figure = figure_of(ax)
    figure.draw_without_rendering()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time of day", "share right")
    assert ax.get_xlim() == (0, 50)
    beyond = [line for line in ax.lines if max(line.get_xdata()) > 50]
    assert beyond
    assert all(line.get_clip_on() for line in beyond)
    ax.get_legend().remove()
    figure.draw_without_rendering()


def test_styles_and_labels_of_a_study_can_be_given(results):
    styles = figures.variant_styles(results.labels)
    ax = figures.draw_curves(curves(results), column="at_s", metric="accuracy", styles=styles)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == list(results.labels.values())
    labels = {"fedtt_r5": "second", "fedit_r8": "first"}
    bars = figures.draw_stack(of_clients(results), column="energy_j", labels=labels)
    assert [label.get_text() for label in bars.get_yticklabels()] == ["second", "first"]


def test_names_are_no_formulas_on_an_axes_of_anybodys(results):
    hostile = "a$\\frac$b"
    labels = {"fedtt_r5": hostile}
    with mpl.rc_context(DEFAULTS):
        ax = Figure().subplots()
        pixels(figure_of(ax))  # ticks that are there already would read formulas
        ax = figures.draw_stack(of_clients(results), ax, column="energy_j", labels=labels)
        frame = curves(results).replace({"fedtt_r5": hostile})
        figures.draw_curves(frame, column="at_s", metric=hostile)
        pixels(figure_of(ax))
    assert [label.get_text() for label in ax.get_yticklabels()] == [hostile]


@pytest.mark.parametrize("kind", MANY)
def test_several_axes_are_taken_and_returned(kind, request):
    study, count, make, draw = MANY[kind]
    frame = make(request.getfixturevalue(study))
    made = draw(frame, None)
    assert len(made) == count
    axes = Figure(figsize=(12, 3), layout="constrained").subplots(1, count)
    drawn = draw(frame, axes)
    assert drawn == list(axes)
    assert all(ax.lines or ax.collections or ax.containers for ax in drawn)
    pixels(figure_of(drawn[0]))
    if drawn[0].get_legend() is not None:
        assert not drawn[0].get_legend().get_window_extent().overlaps(drawn[0].bbox)
    if count > 1:
        with pytest.raises(ValueError, match=f"must be {count}, one a panel, got 1"):
            draw(frame, axes[:1])


def test_a_frame_from_its_csv_file_is_drawn(in_cases, tmp_path):
    """Without the order of methods that the frame carries."""
    path = tmp_path / "ranking.csv"
    ranked(in_cases).to_csv(path, index=False)
    frame = pd.read_csv(path, keep_default_na=False)
    axes = figures.draw_ranking(frame, metric="accuracy")
    assert len(axes[0].get_yticklabels()) == 2


def test_a_new_figure_has_the_size_of_the_style():
    frame = pd.DataFrame({"variant": "a", "duration_s": [1.0, 2.0], "share": [0.5, 1.0], "n": 2})
    with figure_style("slide"):
        slide = figure_of(figures.draw_cdf(frame))
    assert slide.get_figwidth() > figure_of(figures.draw_cdf(frame)).get_figwidth() == 3.5


def test_everything_that_is_exported_exists():
    assert all(hasattr(figures, name) for name in figures.__all__)


def test_the_page_for_users_runs_as_it_is_printed(study, tmp_path, monkeypatch):
    page = Path("docs/own_figures.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks).replace("out/quickstart", str(study)), {})
    assert (tmp_path / "accuracy.pdf").stat().st_size > 5_000
    assert (tmp_path / "cost.pdf").stat().st_size > 5_000
    missing = [name for name in figures.__all__ if name.startswith("draw_") and name not in page]
    assert missing == ["draw_picture"]
