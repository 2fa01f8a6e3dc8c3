"""Sorted metrics of clients against values written by hand."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from analysis.canvas import figure_of, figure_style
from analysis.fairness import (
    LEAST_CLIENTS,
    draw_fairness,
    fairness_frame,
    fairness_subjects,
    gini_index,
)
from analysis.figures import draw_picture
from analysis.load import load_results
from fl.metrics import over_clients
from tests.analysis.synthetic import METHODS, write_results


def scores(variant, seed, values, metric="accuracy"):
    return pd.DataFrame({"variant": variant, "seed": seed, "round": 9, "at_s": 1.0,
                         "client_id": range(len(values)), "metric": metric, "split": "personal",
                         "value": values})  # fmt: skip


def with_scores(results, *parts):
    return dataclasses.replace(results, scores=pd.concat(parts, ignore_index=True))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0, 2.0, 2.0], 0.0),
        ([0.0, 0.0, 0.0, 8.0], 0.75),
        ([1.0, 3.0], 0.25),
        ([3.0, 1.0], 0.25),
        ([], np.nan),
        ([0.0, 0.0], np.nan),
        ([-1.0, 3.0], np.nan),
        ([np.nan, 3.0], np.nan),
    ],
)
def test_gini_index(values, expected):
    assert gini_index(values) == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=20))
def test_gini_index_is_half_the_mean_difference_of_pairs_over_the_mean(values):
    each = np.array(values)
    pairs = np.abs(each[:, None] - each).mean()
    assert gini_index(values) == pytest.approx(pairs / (2 * each.mean()), abs=1e-12)


def test_clients_are_sorted_in_each_run_and_ranks_averaged(results):
    own = with_scores(
        results,
        scores("local", 1, [0.9, 0.1, 0.5, 0.7]),
        scores("local", 2, [0.3, 0.5, 0.9, 0.7]),
    )
    frame = fairness_frame(own, metric="accuracy")
    assert frame["mean"].tolist() == pytest.approx([0.2, 0.5, 0.7, 0.9])
    assert frame["share_percent"].tolist() == [12.5, 37.5, 62.5, 87.5]
    assert (frame["n"] == 2).all()
    first = frame.iloc[0]
    assert first["worst10"] == pytest.approx(0.2)
    jain = [2.2**2 / (4 * (0.81 + 0.01 + 0.25 + 0.49)), 2.4**2 / (4 * (0.09 + 0.25 + 0.81 + 0.49))]
    assert first["jain_index"] == pytest.approx(np.mean(jain))
    ginis = [(-3 * 0.1 - 0.5 + 0.7 + 3 * 0.9) / 8.8, (-3 * 0.3 - 0.5 + 0.7 + 3 * 0.9) / 9.6]
    assert first["gini_index"] == pytest.approx(np.mean(ginis))


def test_the_worst_of_a_loss_is_the_largest(results):
    own = with_scores(results, scores("local", 1, [1.0, 3.0, 2.0], metric="loss"))
    assert fairness_frame(own, metric="loss")["mean"].tolist() == [3.0, 2.0, 1.0]


@pytest.mark.parametrize("count", [1, 9, 10, 11, 25])
def test_worst10_is_that_of_the_evaluations(results, count):
    values = np.random.default_rng(count).uniform(size=count)
    frame = fairness_frame(with_scores(results, scores("local", 1, values)), metric="accuracy")
    expected = over_clients(values, is_lower_better=False)[2]
    assert frame["worst10"].iloc[0] == pytest.approx(expected, rel=1e-12)


def test_seeds_with_other_numbers_of_clients_are_read_at_the_same_shares(results):
    own = with_scores(
        results, scores("local", 1, [0.2, 0.6]), scores("local", 2, [0.2, 0.2, 0.6, 0.6])
    )
    frame = fairness_frame(own, metric="accuracy")
    assert frame["share_percent"].tolist() == [25.0, 75.0]
    assert frame["mean"].tolist() == pytest.approx([0.2, 0.6])


def test_curves_are_drawn_and_unknown_values_left_out(results):
    own = with_scores(results, scores("local", 1, [0.5, np.nan, 0.1, np.nan]))
    ax = Figure().subplots()
    assert draw_fairness(fairness_frame(own, metric="accuracy"), ax, metric="accuracy") is ax
    (line,) = ax.lines
    assert line.get_ydata().tolist() == [0.1, 0.5]


def test_folders_without_scores_and_few_clients_have_no_figure(results):
    none = dataclasses.replace(results, scores=results.scores.iloc[:0])
    assert not fairness_subjects(none)
    few = with_scores(results, scores("local", 1, [0.5] * (LEAST_CLIENTS - 1)))
    assert not fairness_subjects(few)
    assert fairness_subjects(results)
    empty = draw_fairness(fairness_frame(none, metric="accuracy"), metric="accuracy")
    figure_of(empty).draw_without_rendering()


@pytest.mark.parametrize("size", ["column", "slide"])
def test_one_seed_and_many_variants(tmp_path, size):
    methods = [dataclasses.replace(METHODS[1], name=f"m{i}", label=f"m{i}") for i in range(20)]
    many = load_results(write_results(tmp_path, methods=methods, seeds=(1,), num_rounds=2))
    with figure_style(size):
        picture = draw_picture("fairness", many, fairness_subjects(many)[0])
        picture.figure.draw_without_rendering()
    assert "The 8 variants after the first 12 are grey" in picture.caption
    assert "no interval (one seed)" in picture.caption
    assert len(picture.figure.legends[0].get_texts()) == 12
