"""Costs over the ranges of devices, against sums over the rows of the files."""

import csv
import math

import pytest

from analysis.device_range import device_table
from analysis.load import load_results
from analysis.report import all_tables
from tests.analysis.synthetic import METHODS, TARGET, write_results

PLAYED = (METHODS[1], METHODS[3])


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def number(cell):
    return float(cell) if cell else 0.0


def by_hand(folder, *, low):
    """Seconds, joules and use of a battery of 17 Wh until the first accuracy at the target, with
    computing at one end of the range."""
    met = next(
        row for row in rows(folder / "evaluations.csv")
        if row["split"] == "personal" and float(row["mean"]) >= TARGET
    )  # fmt: skip
    devices = {row["client_id"]: row for row in rows(folder / "devices.csv")}
    end = "low_flop_per_s" if low else "high_flop_per_s"
    longest, spent_j, compute_j, radio_j, more_j = {}, {}, 0.0, 0.0, 0.0
    for row in rows(folder / "clients.csv"):
        if int(row["round"]) > int(met["round"]):
            continue
        device = devices[row["client_id"]]
        scale = float(device["flop_per_s"]) / float(device[end])
        sent_s = number(row["download_s"]) + number(row["upload_s"])
        both = [sent_s + number(row["compute_s"]) * each for each in (1.0, scale)]
        before, after = longest.get(row["round"], (0.0, 0.0))
        longest[row["round"]] = (max(before, both[0]), max(after, both[1]))
        compute_j += float(row["compute_j"])
        if device["battery_wh"]:
            part_j = float(row["compute_j"]) + float(row["radio_j"])
            spent_j[row["client_id"]] = spent_j.get(row["client_id"], 0.0) + part_j
        radio_j += float(row["radio_j"])
        more_j += float(row["compute_j"]) * (scale - 1)
    at_s, energy_j = float(met["at_s"]), float(met["energy_j"])
    seconds = at_s + sum(after - before for before, after in longest.values())
    waiting_j = energy_j - compute_j - radio_j
    joules = compute_j + more_j + radio_j + waiting_j * seconds / at_s
    return seconds, joules, 100 * max(spent_j.values()) / (17 * 3600)


@pytest.fixture
def study(tmp_path):
    return write_results(tmp_path / "out", methods=PLAYED, seeds=(1, 2))


def test_columns_are_means_of_the_runs_by_hand(study):
    table = device_table(load_results(study), metric="accuracy", target=TARGET)
    for method, row in zip(PLAYED, table.numbers.to_dict("records"), strict=True):
        folders = [study / method.name / f"seed{seed}" for seed in (1, 2)]
        for name, low in (("slow", True), ("fast", False)):
            found = [by_hand(folder, low=low) for folder in folders]
            seconds, joules, percent = (sum(each) / 2 for each in zip(*found, strict=True))
            assert row[f"{name}_at_s_mean"] == pytest.approx(seconds, rel=1e-9)
            assert row[f"{name}_energy_j_mean"] == pytest.approx(joules, rel=1e-9)
            assert row["battery_percent_mean"] == pytest.approx(percent, rel=1e-9)
        assert row["fast_at_s_mean"] < row["at_s_mean"] < row["slow_at_s_mean"]
        assert row["low_power_energy_j_mean"] < row["energy_j_mean"] < row["slow_energy_j_mean"]
        gap = row["high_power_energy_j_mean"] - row["energy_j_mean"]
        assert gap == pytest.approx(row["energy_j_mean"] - row["low_power_energy_j_mean"])


def test_a_target_out_of_reach_has_no_cost(study):
    table = device_table(load_results(study), metric="accuracy", target=2.0)
    assert set(table.text.drop(columns="variant").to_numpy().ravel()) == {"not reached"}


def test_where_a_deadline_cut_clients_off_nothing_is_recomputed(study):
    path = study / PLAYED[0].name / "seed1" / "rounds.csv"
    text = path.read_text(encoding="utf-8").splitlines()
    cells = text[1].split(",")
    cells[text[0].split(",").index("num_late")] = "1"
    path.write_text("\n".join([text[0], ",".join(cells), *text[2:]]) + "\n", encoding="utf-8")
    table = device_table(load_results(study), metric="accuracy", target=TARGET)
    cut, whole = table.text.to_dict("records")
    slow = next(head for head in cut if head.endswith("slow devices") and head.startswith("time"))
    assert cut[slow] == "-"
    assert whole[slow] != "-"
    assert math.isnan(table.numbers["slow_at_s_mean"][0])
    assert table.numbers["at_s_mean"][0] > 0


@pytest.mark.parametrize("column", ["round", "started_at_s"])
def test_where_clients_work_twice_a_round_or_across_rounds_nothing_is_recomputed(study, column):
    """The first client of round 1 takes part once more; or the round starts only before its end."""
    folder = study / PLAYED[0].name / "seed1"
    path = folder / ("clients.csv" if column == "round" else "rounds.csv")
    head, first, *rest = path.read_text(encoding="utf-8").splitlines()
    if column == "round":
        lines = [head, first, first, *rest]
    else:
        cells, names = first.split(","), head.split(",")
        cells[names.index(column)] = cells[names.index("finished_at_s")]
        lines = [head, ",".join(cells), *rest]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = device_table(load_results(study), metric="accuracy", target=TARGET)
    row, other = table.numbers.to_dict("records")
    assert math.isnan(row["slow_at_s_mean"])
    assert math.isnan(row["fast_energy_j_mean"])
    assert row["at_s_mean"] > 0
    assert other["slow_at_s_mean"] > 0


def test_a_folder_without_devices_says_so_and_has_no_such_table(study):
    assert any(table.name.startswith("devices_") for table in all_tables(load_results(study)))
    for path in study.glob("*/*/devices.csv"):
        path.unlink()
    results = load_results(study)
    assert device_table(results, metric="accuracy", target=TARGET) is None
    assert any("no devices.csv" in note for note in results.notes)
