"""Rewards of clients: gains, rank correlations, the figure, and what was written."""

import numpy as np
import pytest

from analysis import alignment
from analysis.canvas import figure_style
from analysis.figures import all_pictures
from analysis.picture import Subject
from analysis.report import write_report
from tests.analysis.rewarded import NUM_CLIENTS
from tests.analysis.synthetic import METHODS


def test_gains_are_ends_less_starts(rewarded):
    runs = alignment.reward_runs(rewarded).set_index(["variant", "seed"])
    first = runs.loc[(METHODS[0].name, 1)]
    assert first["helpfulness_gain"] == pytest.approx(1.1 + 0.5 * 0.5)
    assert first["safety_gain"] == pytest.approx(1.1 - 0.5 * 0.5)
    weight = np.linspace(0, 1, NUM_CLIENTS)
    expected = np.mean(weight * (1.1 + 0.5 * weight) + (1 - weight) * (1.1 - 0.5 * weight))
    assert first["reward_gain"] == pytest.approx(expected)


def test_rank_correlations_say_whether_preferences_show(rewarded):
    runs = alignment.reward_runs(rewarded)
    parted = runs[runs["variant"] == METHODS[0].name]
    assert parted["helpfulness_by_weight"].tolist() == pytest.approx([1.0] * 3)
    assert parted["safety_by_weight"].tolist() == pytest.approx([-1.0] * 3)
    alike = runs[runs["variant"] == METHODS[1].name]
    assert alike[["helpfulness_by_weight", "safety_by_weight"]].isna().all(axis=None)


def test_table_has_a_row_a_variant_with_rewards(rewarded):
    table = alignment.reward_table(rewarded)
    assert table.numbers["variant"].tolist() == [METHODS[0].name, METHODS[1].name]
    assert table.text["weight to helpfulness"].tolist()[1] == "-"
    assert table.numbers["independent_gain_mean"][0] == pytest.approx(-0.25)
    assert table.text["independent reward, gain"].tolist()[1] == "-"
    halves = table.numbers["reward_gain_half_width"]
    assert (halves > 0).all()


def test_answers_before_and_after_of_one_client(rewarded):
    table = alignment.answer_table(rewarded)
    row = table.numbers.iloc[0]
    assert (row["client"], row["prompt"]) == ("0", "def add(a, b)")
    assert row["before"].startswith("Return <b>, 0. Again")
    assert row["after"].startswith("Return <b>, 6.")
    assert len(row["after"]) == alignment.MOST_CHARACTERS


def test_figure_shows_the_clients_of_variants_with_rewards(rewarded):
    (subject,) = alignment.preference_subjects(rewarded)
    frame = alignment.preference_rows(rewarded, subject)
    assert len(frame) == 2 * 3 * NUM_CLIENTS
    with figure_style():
        picture = alignment.draw_preferences(rewarded, subject, frame)
        names = [each.name for each in all_pictures(rewarded)]
    titles = [ax.get_title(loc="left") for ax in picture.figure.axes]
    assert [each for each in titles if each] == [METHODS[0].label, METHODS[1].label]
    assert "preferences" in names


def test_without_rewards_there_is_nothing(results):
    assert alignment.preference_subjects(results) == ()
    assert alignment.reward_table(results) is None
    assert alignment.answer_table(results) is None
    assert alignment.preference_rows(results, Subject()).empty


def test_report_has_both_tables_and_no_markup_of_answers(rewarded):
    report = write_report(rewarded.folder)
    page = report.index.read_text(encoding="utf-8")
    assert "What personal models earn" in page
    assert "Return &lt;b&gt;, 6." in page
    assert "Return <b>, 6." not in page
