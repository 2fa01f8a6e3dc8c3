"""Costs of methods in several settings: the order, what changes it, and what is clear of it."""

import dataclasses

from analysis.canvas import figure_style
from analysis.figures import all_pictures
from analysis.report import all_tables, write_report
from analysis.settings import draw_settings, has_settings, order_table, settings_frame

CASES = ("ideal", "real")


def test_a_method_has_one_name_in_all_settings(in_cases):
    frame = settings_frame(in_cases, metric="accuracy")
    assert list(dict.fromkeys(frame["setting"])) == ["ideal", "real"]
    assert set(frame["method"]) == {"FedTT, rank 5", "PFTT, d 8, rank 8"}
    own = frame[(frame["split"] == "personal") & (frame["cost"] == "at_s")]
    assert len(own) == 4
    assert (own["num_reached"] == own["n"]).all()


def test_the_order_and_its_swaps_are_those_of_the_means(in_cases):
    numbers = order_table(in_cases, metric="accuracy").numbers
    own = numbers[(numbers["split"] == "personal") & (numbers["cost"] == "at_s")]
    own = own.set_index("setting")
    frame = settings_frame(in_cases, metric="accuracy")
    for case in CASES:
        rows = frame[
            (frame["split"] == "personal") & (frame["cost"] == "at_s") & (frame["setting"] == case)
        ]
        cheapest = rows.sort_values("mean")["method"]
        assert own.loc[case, "order"] == " < ".join(cheapest)
    assert own.loc["ideal", "order"] == "PFTT, d 8, rank 8 < FedTT, rank 5"
    assert own.loc["real", "order"] == "FedTT, rank 5 < PFTT, d 8, rank 8"
    assert tuple(own["tau"]) == (1.0, -1.0)
    assert tuple(own["swaps"]) == (0, 1)
    assert own.loc["ideal", "clear_swaps"] == 0


def test_a_method_without_a_model_of_the_split_is_left_out(in_cases):
    numbers = order_table(in_cases, metric="accuracy").numbers
    own = numbers[(numbers["split"] == "global") & (numbers["cost"] == "at_s")]
    assert set(own["order"]) == {"FedTT, rank 5"}
    assert own["tau"].isna().all()


def test_figure_and_table_stand_in_the_report(in_cases):
    names = [table.name for table in all_tables(in_cases)]
    assert "order_accuracy_0.8" in names
    with figure_style():
        pictures = {picture.name: picture for picture in all_pictures(in_cases)}
    figure = pictures["settings_accuracy_0.8"].figure
    assert len(figure.axes) == 4
    assert [label.get_text() for label in figure.axes[-1].get_xticklabels()] == list(CASES)
    page = write_report(in_cases.folder).index.read_text()
    assert "Order of the methods by the cost to accuracy" in page


def test_a_study_of_one_setting_has_neither(results):
    assert not has_settings(results)
    assert not any(table.name.startswith("order") for table in all_tables(results))


def test_figure_shows_what_was_reached_within_its_axes(in_cases):
    frame = settings_frame(in_cases, metric="accuracy")
    reached = (frame["split"] == "personal") & (frame["setting"] == "real")
    frame["mean"] = frame["mean"].where(reached)
    with figure_style():
        axes = draw_settings(frame, settings=list(CASES))
    assert [ax.get_ylabel().splitlines()[0] for ax in axes] == [
        "simulated time [s]",
        "client energy [J]",
    ]
    for ax in axes:
        low, high = ax.get_xlim()
        drawn = [x for line in ax.lines for x in line.get_xdata()]
        assert low < min(drawn) < max(drawn) < high


def test_no_figure_of_a_target_that_nobody_reached(in_cases):
    manifest = dataclasses.replace(in_cases.manifest, targets={"accuracy": 0.999999})
    unreached = dataclasses.replace(in_cases, manifest=manifest)
    with figure_style():
        names = [picture.name for picture in all_pictures(unreached)]
    assert not [name for name in names if name.startswith("settings")]
