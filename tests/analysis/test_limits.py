"""Nothing that is drawn is cut without an arrowhead and a word in the caption."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from analysis.canvas import figure_style
from analysis.figures import FIGURES, draw_picture
from analysis.limits import GOES_ON, fitted_limits, goes_on, goes_on_words, mark_cut
from analysis.plots import draw_curves
from analysis.ranking import draw_ranking, ranking_frame
from analysis.series import target_frame
from analysis.style import variant_styles
from analysis.target_bars import draw_target_costs


def heads(ax):
    return [line for line in ax.lines if line.get_label() == GOES_ON]


def curve(mean, band, *, n=3):
    size = len(mean)
    return pd.DataFrame(
        {"variant": "a", "series": "mean", "at_s": np.arange(1.0, size + 1), "mean": mean,
         "half_width": band, "band": band, "n": n}
    )  # fmt: skip


def drawn(frame, *, metric):
    ax = Figure().subplots()
    draw_curves(frame, ax, column="at_s", styles=variant_styles({"a": "A"}), metric=metric)
    return ax


def band_of(ax):
    (band,) = (each for each in ax.collections if isinstance(each, PolyCollection))
    return band.get_paths()[0].vertices[:, 1]


def test_limits_hold_the_band_of_a_reward_below_zero():
    """Means from -0.1 to 0.15 with bands several times as wide: the band is inside."""
    ax = drawn(curve([-0.1, 0.0, 0.15], [0.25, 0.3, 0.4]), metric="reward")
    low, high = ax.get_ylim()
    ys = band_of(ax)
    assert low < ys.min() < -0.3
    assert ys.max() < high
    assert not heads(ax)


def test_a_band_that_is_far_too_wide_is_cut_with_arrowheads():
    ax = drawn(curve([0.0, 1.0, 2.0], [0.1, 0.1, 50.0]), metric="reward")
    low, high = ax.get_ylim()
    ys = band_of(ax)
    assert ys.max() > high
    assert ys.min() < low
    assert sorted(line.get_marker() for line in heads(ax)) == ["^", "v"]
    assert sorted(float(line.get_ydata()[0]) for line in heads(ax)) == [low, high]
    assert goes_on_words(ax.figure) == " Arrowheads: the interval goes on beyond the picture."


def test_a_band_of_a_loss_stays_above_zero():
    assert band_of(drawn(curve([0.5, 0.2, 0.1], [0.1, 0.3, 0.3]), metric="loss")).min() > 0.0


def test_every_whisker_of_the_ranking_is_whole_or_has_an_arrowhead(results):
    frame = ranking_frame(results, metric="accuracy")
    first = frame.index[frame["quantity"] == "personal"][0]
    frame.loc[first, "half_width"] = 30.0
    with figure_style():
        axes = draw_ranking(frame, metric="accuracy")
    for ax, quantity in zip(axes, ["global", "personal"], strict=False):
        low, high = ax.get_xlim()
        (_, _, (whiskers,)) = ax.containers[0]
        ends = [point[0] for path in whiskers.get_segments() for point in path]
        is_cut = max(ends) > high or min(ends) < low
        assert is_cut == (quantity == "personal")
        assert bool(heads(ax)) == is_cut


@pytest.fixture
def bars(results):
    def draw(change):
        frame = target_frame(results, metric="accuracy", target=0.8, splits=["personal"])
        frame = change(frame)
        ax = Figure().subplots()
        order = [(name, "personal") for name in dict.fromkeys(frame["variant"])]
        styles = variant_styles(results.labels)
        draw_target_costs(frame, ax, column="at_s", rows=order, styles=styles)
        return ax

    return draw


@pytest.mark.parametrize(("factor", "is_cut"), [(0.5, False), (0.99, False), (40.0, True)])
def test_whiskers_of_costs_to_a_target(bars, factor, is_cut):
    ax = bars(lambda frame: frame.assign(half_width=factor * frame["mean"]))
    low, high = ax.get_xlim()
    assert low == 0.0
    ends = [point[0] for each in ax.containers if hasattr(each, "has_xerr")
            for path in each[2][0].get_segments() for point in path]  # fmt: skip
    assert min(ends) >= 0.0
    assert (max(ends) > high) == is_cut
    assert bool(heads(ax)) == is_cut


def test_negative_values_of_a_reward_are_on_the_axis(results):
    """The worst tenth of clients with rewards below 0 had an empty panel."""
    frame = target_frame(results, metric="accuracy", target=0.8, splits=["personal"])
    frame = frame.assign(cost="worst10", value=-0.5, mean=-0.5, half_width=0.1, num_reached=3, n=3)
    ax = Figure().subplots()
    order = [(name, "personal") for name in dict.fromkeys(frame["variant"])]
    styles = variant_styles(results.labels)
    draw_target_costs(frame, ax, column="worst10", rows=order, styles=styles)
    low, high = ax.get_xlim()
    assert low < -0.6
    assert high > 0.0
    assert len(ax.get_xticks()) > 1


def test_the_caption_says_that_an_interval_goes_on(results):
    runs = results.evaluations
    factor = np.where(runs["seed"] == 3, 6.0, 1.0)
    wide = dataclasses.replace(results, evaluations=runs.assign(at_s=runs["at_s"] * factor))
    entry, (subject, *_) = FIGURES["target"], FIGURES["target"].needs(wide)
    with figure_style():
        for study in (results, wide):
            picture = draw_picture("target", study, subject)
            said = "Arrowheads" in picture.caption
            assert said == goes_on(picture.figure)
    assert len(entry.frame(wide, subject))


def test_limits_without_a_finite_value_are_none():
    assert fitted_limits([np.nan], [0.0], [1.0]) is None


def test_limits_of_equal_means_hold_their_intervals():
    low, high = fitted_limits([1.0, 1.0], [0.5, 0.6], [1.5, 1.4])
    assert low < 0.5
    assert high > 1.5


def test_nothing_is_marked_without_an_interval():
    ax = Figure().subplots()
    mark_cut(ax, "y", at=[0.5], low=[np.nan], high=[np.nan], colour="k")
    assert not heads(ax)


def test_a_run_that_sent_nothing_has_a_zero_on_a_logarithmic_axis():
    """Training alone sends no byte; the others send 1 and 1,000 MB."""
    sent = {"alone": 0.0, "small": 1.0, "large": 1000.0}
    rows = [
        {"variant": name, "split": "global", "seed": seed, "cost": "uplink_mb", "value": value,
         "mean": value, "half_width": 0.0, "num_reached": 2, "n": 2}
        for name, value in sent.items() for seed in (1, 2)
    ]  # fmt: skip
    styles = variant_styles({name: name for name in sent})
    ax = draw_target_costs(pd.DataFrame(rows), column="uplink_mb", styles=styles)
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.texts if text.xy == (0.0, 0)] == ["0"]
    assert 0.0 < ax.get_xlim()[0] < 1.0
    assert ax.get_xlim()[1] > 1000.0
