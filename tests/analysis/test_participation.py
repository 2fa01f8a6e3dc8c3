"""Who took part and what was in vain, against sums over the rows of the files."""

import csv
import dataclasses
import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from analysis.canvas import figure_style
from analysis.figures import FIGURES, draw_picture
from analysis.load import load_results
from analysis.participation import (
    jain_index,
    participation_runs,
    participation_table,
    waste_table,
)
from analysis.picture import Subject
from analysis.report import all_tables
from analysis.series import waste_frame
from analysis.settings import compared, has_settings, order_table, settings_of
from analysis.tables import wasted_runs
from tests.analysis.synthetic import NUM_CLIENTS, write_results


def rows(study, variant, seed, name):
    with (study / variant / f"seed{seed}" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("updates", "num_clients", "expected"),
    [([3, 3, 3], 3, 1.0), ([5], 4, 0.25), ([1, 1], 4, 0.5), ([1, 2, 3], 3, 36 / 42)],
)
def test_jain_index_in_closed_form(updates, num_clients, expected):
    assert jain_index(np.array(updates, float), num_clients=num_clients) == pytest.approx(expected)


def test_participation_is_that_of_the_rows(study, results):
    runs = participation_runs(results).set_index(["variant", "seed"])
    own = rows(study, "fedit_r8", 2, "clients")
    count = Counter(row["client_id"] for row in own if row["outcome"] == "received")
    total = sum(count.values())
    found = runs.loc[("fedit_r8", 2)]
    assert found["num_received"] == total
    squares = sum(value**2 for value in count.values())
    assert found["jain_index"] == pytest.approx(total**2 / NUM_CLIENTS / squares)
    assert found["never_received_percent"] == pytest.approx(100 * (1 - len(count) / NUM_CLIENTS))
    rounds = rows(study, "fedit_r8", 2, "rounds")
    assert found["num_aggregations"] == len(rounds)
    mean_s = float(rounds[-1]["finished_at_s"]) / len(rounds)
    assert found["seconds_an_aggregation_s"] == pytest.approx(mean_s)
    spent_j = sum(float(row["compute_j"]) + float(row["radio_j"]) for row in own)
    wasted_j = sum(float(row["wasted_j"]) for row in own)
    assert wasted_j > 0
    assert found["wasted_percent"] == pytest.approx(100 * wasted_j / spent_j)
    assert found["mean_staleness"] == 0.0


def test_a_run_of_which_nothing_arrived_has_no_evenness(results):
    clients = results.clients.assign(outcome="late:uplink")
    runs = participation_runs(dataclasses.replace(results, clients=clients))
    assert runs["jain_index"].isna().all()
    assert (runs["num_received"] == 0).all()
    assert (runs["never_received_percent"] == 100).all()


def test_waste_by_reason_adds_up_to_the_rows(results):
    clients = results.clients.copy()
    seventh = clients.index[::7]
    clients.loc[seventh, "outcome"], clients.loc[seventh, "wasted_j"] = "battery_empty:compute", 5.0
    frame = waste_frame(dataclasses.replace(results, clients=clients))
    own = frame[frame["variant"] == "fedit_r8"]
    assert list(own["part"]) == ["battery empty", "dropped"]
    used = results.used(clients)
    used = used[used["variant"] == "fedit_r8"]
    by_hand = used.groupby("seed")["wasted_j"].sum().mean()
    assert own["mean"].sum() == pytest.approx(by_hand)
    assert own["total"].iloc[0] == pytest.approx(by_hand)
    empty = used[used["outcome"].str.startswith("battery")].groupby("seed")["wasted_j"].sum()
    assert own["mean"].iloc[0] == pytest.approx(empty.mean())


def test_questions_in_vain_are_waste_too(results):
    """Three in the first run: one answered, one of a client that left, one whose round was not."""
    first = results.runs.iloc[0]
    asked = pd.DataFrame(
        {
            "variant": first["variant"],
            "seed": first["seed"],
            "round": 1,
            "client_id": [0, 1, 2],
            "outcome": ["answered", "left:compute", "abandoned:answer"],
            "compute_j": [3.0, 2.0, 4.0],
            "radio_j": [1.0, 0.0, 1.0],
            "wasted_j": [0.0, 2.0, 5.0],
        }
    )
    with_questions = dataclasses.replace(results, questions=asked)
    keys = ["variant", "seed"]
    before, after = (wasted_runs(each).set_index(keys) for each in (results, with_questions))
    more = after["wasted_j"] - before["wasted_j"]
    assert more[first["variant"], first["seed"]] == pytest.approx(7.0)
    assert more.sum() == pytest.approx(7.0)
    frame = waste_frame(with_questions)
    of_variant = frame[frame["variant"] == first["variant"]].set_index("part")
    assert of_variant.loc["abandoned", "mean"] == pytest.approx(5.0 / of_variant["n"].iloc[0])
    (note,) = (each for each in waste_table(with_questions).notes if "questions" in each)
    assert note.startswith("Joules of participations whose update was not merged, and questions")
    rows = participation_runs(with_questions).set_index(keys)
    plain = participation_runs(results).set_index(keys)
    own = results.clients[
        (results.clients["variant"] == first["variant"])
        & (results.clients["seed"] == first["seed"])
    ]
    spent_j = (own["compute_j"] + own["radio_j"]).sum() + 11.0
    found = rows["wasted_percent"][first["variant"], first["seed"]]
    assert found == pytest.approx(100 * (own["wasted_j"].sum() + 7.0) / spent_j)
    assert (rows["wasted_percent"] != plain["wasted_percent"]).sum() == 1


def test_without_waste_there_is_neither_table_nor_figure(results):
    none = dataclasses.replace(results, clients=results.clients.assign(wasted_j=0.0))
    assert waste_frame(none).empty
    assert waste_table(none) is None
    assert not FIGURES["waste"].needs(none)


def test_tables_have_a_row_a_variant_and_stand_in_the_report(results):
    names = [table.name for table in all_tables(results)]
    assert {"participation", "waste"} <= set(names)
    table = participation_table(results)
    assert list(table.text["variant"]) == list(results.labels.values())
    assert table.numbers["num_received_mean"].notna().all()
    waste = waste_table(results)
    fedit = waste.text.set_index("variant").loc["FedIT, rank 8"]
    assert fedit["all [J]"] == fedit["dropped"]


def test_figure_shows_costs_and_evenness_of_every_variant(results):
    subject = Subject(metric="accuracy")
    frame = FIGURES["participation"].frame(results, subject)
    runs = participation_runs(results)
    jain = frame[(frame["cost"] == "jain_index") & (frame["variant"] == "fedit_r8")]
    assert list(jain["value"]) == list(runs[runs["variant"] == "fedit_r8"]["jain_index"])
    assert jain["mean"].iloc[0] == pytest.approx(jain["value"].mean())
    with figure_style():
        figure = draw_picture("participation", results, subject).figure
    assert len(figure.axes) == 4
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(results.labels.values())
    left, right = figure.axes[2].get_xlim()
    assert left == 0.0
    assert 1.0 <= right < 1.2
    assert figure.axes[0].get_xlabel().endswith("to accuracy ≥ 0.8")


@pytest.fixture(scope="module")
def of_one_method(tmp_path_factory, in_cases):
    """The study of two methods in two cases, told as one method with a knob of two values."""
    folder = write_results(
        tmp_path_factory.mktemp("knob"),
        methods=[_fake(variant) for variant in in_cases.variants],
        num_rounds=25,
    )
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for entry, variant in zip(manifest["variants"], in_cases.variants, strict=True):
        value = "random" if variant.name.startswith("fedtt") else "oort"
        entry["knobs"] = {"case": variant.setting, "server.policy": value}
        entry["label"] = f"fedit ({variant.setting}, policy={value})"
    path.write_text(json.dumps(manifest))
    return load_results(folder)


def _fake(variant):
    from tests.analysis.conftest import SLOWER  # noqa: PLC0415
    from tests.analysis.synthetic import METHODS  # noqa: PLC0415

    name, _, case = variant.name.partition("--case=")
    (method,) = [each for each in METHODS if each.name == name]
    slower = SLOWER.get((name, case), method.compute_s)
    return dataclasses.replace(method, name=variant.name, compute_s=slower)


def test_values_of_the_last_knob_are_compared_where_there_is_one_method(in_cases, of_one_method):
    assert set(compared(of_one_method).values()) == {
        ("random", "ideal"), ("random", "real"), ("oort", "ideal"), ("oort", "real"),
    }  # fmt: skip
    assert settings_of(of_one_method) == settings_of(in_cases) == ["ideal", "real"]
    assert has_settings(of_one_method)
    knob, methods = (
        order_table(each, metric="accuracy").numbers for each in (of_one_method, in_cases)
    )
    same = ["split", "cost", "setting", "tau", "p", "swaps", "clear_swaps"]
    pd.testing.assert_frame_equal(knob[same], methods[same])
    own = knob[(knob["split"] == "personal") & (knob["cost"] == "at_s")]
    assert list(own["order"]) == ["oort < random", "random < oort"]
    assert list(own["p"]) == [1.0, 1.0]  # two orders of two are equal or opposite, always
