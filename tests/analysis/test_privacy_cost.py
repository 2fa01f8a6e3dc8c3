"""Metrics against epsilon, from rows with known answers."""

import dataclasses
import math

import pandas as pd
import pytest
from matplotlib import pyplot as plt

from analysis.canvas import figure_style
from analysis.figures import draw_picture, subjects
from analysis.picture import Subject
from analysis.privacy_cost import final_privacy, privacy_frame, privacy_subjects, privacy_table

ACCURACY = Subject(metric="accuracy")


def test_the_last_round_of_each_run_counts(private):
    final = final_privacy(private)
    assert len(final) == 12
    assert final["clipped_percent"].tolist() == [40.0] * 12
    found = dict(zip(final["variant"], final["epsilon"], strict=True))
    assert found["fedtt_r5--case=real"] == 10.0
    assert math.isnan(found["pftt_r8--case=ideal"])


def test_the_frame_holds_metric_and_epsilon_of_every_variant(private):
    frame = privacy_frame(private, ACCURACY)
    personal = frame[frame["split"] == "personal"].set_index("variant")
    assert personal["n"].tolist() == [3] * 4
    assert personal.loc["fedtt_r5--case=ideal", "epsilon"] == 1.0
    last = private.evaluations.query("metric == 'accuracy' and split == 'personal'")
    last = last[last["variant"] == "fedtt_r5--case=ideal"].groupby("seed")["mean"].last()
    assert personal.loc["fedtt_r5--case=ideal", "mean"] == pytest.approx(last.mean())
    assert personal["method"].nunique() == 2


def test_the_picture_has_a_line_a_method_and_a_level_without_epsilon(private):
    assert ("privacy", ACCURACY) in list(subjects(private))
    with figure_style():
        picture = draw_picture("privacy", private, ACCURACY)
    ax = picture.figure.axes[-1]
    assert ax.get_xscale() == "log"
    assert len(ax.containers) == 2
    levels = [line for line in ax.lines if len(set(line.get_xdata())) == 2 and
              line.get_xdata()[0] == 0.0]  # fmt: skip
    assert len(levels) == 1
    assert "delta = 0.001" in picture.caption
    plt.close(picture.figure)


def test_no_picture_where_all_promise_the_same(private):
    same = dataclasses.replace(private, privacy=private.privacy.assign(epsilon=3.0))
    assert privacy_subjects(same) == []
    assert privacy_table(same) is not None


def test_nothing_without_privacy(in_cases):
    assert privacy_subjects(in_cases) == []
    assert privacy_table(in_cases) is None


def test_the_table_leaves_epsilon_empty_without_one(private):
    table = privacy_table(private)
    cells = table.text.set_index("variant")["epsilon"]
    assert [cell for cell in cells if cell == "-"] == ["-"]
    assert table.numbers["clipped_percent_mean"].tolist() == [40.0] * 4


def test_of_samples_the_client_with_the_largest_epsilon_counts(private):
    """Clients 0 and 1 took part last in different rounds; what clients promise goes first."""
    of_samples = private.privacy.assign(level="sample", client_id=0.0)
    one = of_samples.assign(epsilon=of_samples["epsilon"] / 2)
    other = of_samples[of_samples["round"] == 1].assign(client_id=1.0, epsilon=7.0, num_clipped=0)
    both = dataclasses.replace(private, privacy=pd.concat([one, other]))
    final = final_privacy(both).set_index("variant")
    assert set(final["level"]) == {"sample"}
    assert final.loc["fedtt_r5--case=ideal", "epsilon"].tolist() == [7.0] * 3
    assert math.isnan(final.loc["pftt_r8--case=ideal", "epsilon"].iloc[0])
    assert final["clipped_percent"].iloc[0] == pytest.approx(100 * 4 / 14)
    assert any("sample level" in note for note in privacy_table(both).notes)
    mixed = dataclasses.replace(private, privacy=pd.concat([private.privacy, other]))
    assert final_privacy(mixed)["epsilon"].equals(final_privacy(private)["epsilon"])
    assert not any("sample level" in note for note in privacy_table(private).notes)
