"""Where methods end: the numbers are those of the summary; every method has a row."""

import pytest

from analysis.canvas import figure_style
from analysis.ranking import draw_ranking, ranking_frame
from analysis.tables import summary_table


def test_numbers_are_those_of_the_summary(results):
    frame = ranking_frame(results, metric="accuracy")
    summary = summary_table(results).numbers.set_index("variant")
    own = frame[frame["quantity"] == "personal"].set_index("variant")
    for variant in own.index:
        expected = summary.loc[variant]
        assert own.loc[variant, "mean"] == pytest.approx(expected["accuracy_personal_mean"])
        assert own.loc[variant, "half_width"] == pytest.approx(
            expected["accuracy_personal_half_width"]
        )
    assert list(own["mean"]) == sorted(own["mean"], reverse=True)


def test_every_method_has_a_row_and_every_quantity_a_panel(results):
    frame = ranking_frame(results, metric="accuracy")
    with figure_style():
        axes = draw_ranking(frame, metric="accuracy")
    labels = [label.get_text() for label in axes[0].get_yticklabels()]
    assert sorted(labels) == sorted(set(frame["method"]))
    assert len(axes) == frame["quantity"].nunique() == 5
