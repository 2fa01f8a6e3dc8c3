"""Pareto fronts against points whose fronts are known by hand."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.canvas import figure_of, figure_style
from analysis.figures import draw_picture
from analysis.load import load_results
from analysis.pareto import (
    MOST_SETTINGS,
    draw_pareto,
    is_non_dominated,
    pareto_frame,
    pareto_subjects,
)
from tests.analysis.synthetic import METHODS, write_results

METRIC_OF_CLIENTS = {"metric": "accuracy", "split": "personal"}


def evaluation(variant, seed, mean, **costs):
    return {"variant": variant, "seed": seed, "round": 1, "metric": "accuracy", "mean": mean,
            "split": "personal", "n": 1, "uplink_bytes": 0, **costs}  # fmt: skip


@pytest.fixture
def by_hand(results):
    """local is cheap and poor, fedit dear and good, fedtt in between but worse than local."""
    points = {"local": (0.5, 10.0, 100.0), "fedit_r8": (0.9, 30.0, 300.0),
              "fedtt_r5": (0.4, 20.0, 50.0)}  # fmt: skip
    rows = [
        evaluation(name, seed, mean + 0.1 * (seed - 2), at_s=at_s, energy_j=energy_j)
        for name, (mean, at_s, energy_j) in points.items()
        for seed in (1, 2, 3)
    ]
    return dataclasses.replace(results, evaluations=pd.DataFrame(rows))


def on_front(frame, cost):
    rows = frame[(frame["cost"] == cost) & frame["is_front"]]
    return set(rows["variant"])


@pytest.mark.parametrize(
    ("costs", "values", "expected"),
    [
        ([1.0, 2.0, 3.0], [0.5, 0.9, 0.8], [True, True, False]),
        ([1.0, 1.0], [0.5, 0.5], [True, True]),  # equal ones do not dominate one another
        ([1.0, 1.0, 2.0], [0.5, 0.6, 0.6], [False, True, False]),
        ([1.0, np.nan, 2.0], [0.5, 0.9, np.nan], [True, False, False]),
        ([], [], []),
    ],
)
def test_who_is_not_dominated(costs, values, expected):
    assert is_non_dominated(costs, values).tolist() == expected


def test_of_a_loss_less_is_better():
    found = is_non_dominated([1.0, 2.0, 3.0], [0.5, 0.9, 0.4], is_lower_better=True)
    assert found.tolist() == [True, False, True]


def test_no_point_of_the_front_is_dominated_and_every_other_one_is():
    rng = np.random.default_rng(3)
    costs, values = rng.integers(0, 12, (2, 60)).astype(float)
    found = is_non_dominated(costs, values)
    for place in range(60):
        is_beaten = any(
            costs[other] <= costs[place] and values[other] >= values[place]
            and (costs[other] < costs[place] or values[other] > values[place])
            for other in range(60)
        )  # fmt: skip
        assert found[place] != is_beaten


def test_the_front_is_that_of_the_means(by_hand):
    frame = pareto_frame(by_hand, **METRIC_OF_CLIENTS)
    assert on_front(frame, "at_s") == {"local", "fedit_r8"}
    assert on_front(frame, "energy_j") == {"local", "fedit_r8", "fedtt_r5"}
    assert on_front(frame, "uplink_mb") == {"fedit_r8"}
    row = frame[(frame["variant"] == "local") & (frame["cost"] == "at_s")].iloc[0]
    assert (row["mean"], row["cost_mean"], row["n"]) == (pytest.approx(0.5), 10.0, 3)
    assert row["half_width"] == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)


def test_variants_compete_within_a_setting_alone(in_cases):
    frame = pareto_frame(in_cases, **METRIC_OF_CLIENTS)
    assert set(frame["setting"]) == {"ideal", "real"}
    for _, rows in frame.groupby(["setting", "cost"]):
        assert rows["is_front"].any()
    with figure_style():
        picture = draw_picture("pareto", in_cases, pareto_subjects(in_cases)[0])
    assert [ax.get_title(loc="left") for ax in picture.figure.axes] == [
        *("ideal", "", ""),
        *("real", "", ""),
    ]
    assert "compete within a setting" in picture.caption


def test_points_and_steps_are_drawn(by_hand):
    ax = Figure().subplots()
    frame = pareto_frame(by_hand, **METRIC_OF_CLIENTS)
    assert draw_pareto(frame, ax, metric="accuracy", column="at_s") is ax
    steps = [line for line in ax.lines if line.get_drawstyle() == "steps-post"]
    assert [line.get_xdata()[1:3].tolist() for line in steps] == [[10.0, 30.0]]
    faces = {float(line.get_xdata()[0]): line.get_markerfacecolor() for line in ax.lines
             if line.get_marker() in "os^" and len(line.get_xdata()) == 1}  # fmt: skip
    assert faces[20.0] == "white"
    assert "white" not in {faces[10.0], faces[30.0]}
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["local", "fedit_r8", "fedtt_r5", "Pareto front"]


def test_a_study_of_two_variants_has_no_figure_and_one_of_three_has(results, by_hand):
    assert pareto_subjects(by_hand)
    two = by_hand.evaluations[by_hand.evaluations["variant"] != "local"]
    assert not pareto_subjects(dataclasses.replace(by_hand, evaluations=two))


def test_a_metric_that_is_nowhere_known_is_left_out(by_hand):
    unknown = dataclasses.replace(by_hand, evaluations=by_hand.evaluations.assign(mean=np.nan))
    assert not pareto_subjects(unknown)
    frame = pareto_frame(unknown, **METRIC_OF_CLIENTS)
    assert frame.empty
    figure_of(draw_pareto(frame, metric="accuracy")).draw_without_rendering()


@pytest.mark.parametrize("size", ["column", "double", "slide"])
def test_many_variants_of_one_seed_stay_legible(tmp_path, size):
    """Those off all fronts are grey, and counted."""
    methods = [
        dataclasses.replace(METHODS[1], name=f"m{i}", label=f"Method {i}", ceiling=0.5 + i / 100,
                            compute_s=1.0 + i % 5, payload_bytes=100 * 4**(i % 8))
        for i in range(20)
    ]  # fmt: skip
    many = load_results(write_results(tmp_path, methods=methods, seeds=(1,), num_rounds=2))
    with figure_style(size):
        picture = draw_picture("pareto", many, pareto_subjects(many)[0])
        picture.figure.draw_without_rendering()
    (legend,) = picture.figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    named = set(picture.data[picture.data["is_front"]]["variant"])
    assert 0 < len(named) < 20
    assert f"{20 - len(named)} others" in words
    assert "no interval (one seed)" in picture.caption
    for ax in picture.figure.axes:
        boxes = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
        inside = [box for box in boxes if ax.bbox.x0 - 1 <= (box.x0 + box.x1) / 2 <= ax.bbox.x1 + 1]
        assert all(left.x1 < right.x0 for left, right in itertools.pairwise(inside))


def test_of_more_settings_the_first_and_the_last_have_panels(in_cases):
    """A third one stands between the two in the scenario."""
    between = [
        dataclasses.replace(each, name=each.name.replace("real", "some"), knobs={"case": "some"})
        for each in in_cases.variants
        if each.name.endswith("real")
    ]
    known = in_cases.variants
    manifest = dataclasses.replace(in_cases.manifest, variants=(*known[:1], *between, *known[1:]))
    rows, runs = in_cases.evaluations, in_cases.runs
    more = dataclasses.replace(
        in_cases,
        manifest=manifest,
        evaluations=pd.concat([rows.assign(variant=rows["variant"].str.replace("real", "some")),
                               rows]).drop_duplicates(),
        runs=pd.concat([runs.assign(variant=runs["variant"].str.replace("real", "some")),
                        runs]).drop_duplicates(),
    )  # fmt: skip
    with figure_style():
        picture = draw_picture("pareto", more, pareto_subjects(more)[0])
    titles = [ax.get_title(loc="left") for ax in picture.figure.axes]
    assert len(titles) == 3 * MOST_SETTINGS
    assert (titles[0], titles[3]) == ("ideal", "real")
    assert "settings in between, in the data alone: 1" in picture.caption
