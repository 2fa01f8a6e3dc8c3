"""Few rows of long tables: those that tell most, and where all are."""

import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from analysis.compare import compare
from analysis.differences import final_differences
from analysis.load import load_results
from analysis.outlets import rich_table
from analysis.participation import participation_table
from analysis.short import MOST_ROWS, SHOWN_ROWS, is_long, shortened
from analysis.tables import summary_table, target_table
from analysis.totals import total_differences, total_table
from scenarios.cli import main
from tests.analysis.synthetic import METHODS, write_results

KNOBS = (1, 2, 5, 10)


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Four methods at four bandwidths."""
    variants = [
        dataclasses.replace(
            method,
            name=f"{method.name}--bandwidth_hz={knob}e6",
            label=f"{method.label} (bandwidth {knob} MHz)",
            compute_s=method.compute_s + 10.0 / knob,
        )
        for method in METHODS
        for knob in KNOBS
    ]
    folder = write_results(tmp_path_factory.mktemp("grid"), methods=variants, num_rounds=6)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["variants"]:
        entry["knobs"] = {"radio.bandwidth_hz": float(entry["name"].partition("=")[2])}
    path.write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def of_grid(grid):
    return load_results(grid)


def test_comparisons_come_by_their_p_value(of_grid):
    table = compare(of_grid, metric="accuracy", target=0.6)
    assert is_long(table)
    short = shortened(table, where="elsewhere")
    assert len(short.text) == SHOWN_ROWS
    assert list(short.text["#"]) == ["1", "2", "3", "4", "5", "6"]
    order = table.numbers.sort_values("p_value", kind="stable").index[:SHOWN_ROWS]
    assert list(short.text["verdict"]) == list(table.text.loc[order, "verdict"])
    assert short.notes[0] == (
        f"6 of {len(table.text)} rows, smallest p first. All of them: elsewhere."
    )
    assert short.notes[1:] == table.notes


def test_pairs_of_final_metrics_come_by_their_smallest_p_value(of_grid):
    table = final_differences(of_grid, baseline=None, by="bandwidth_hz")
    assert len(table.text) < len(table.numbers)
    first = shortened(table, where="").text.iloc[0]
    best = table.numbers.loc[table.numbers["p_value"].idxmin()]
    assert (first["variant"], first["minus"]) == (
        of_grid.labels[best["variant"]], of_grid.labels[best["baseline"]]
    )  # fmt: skip


def test_a_summary_comes_by_the_personal_metric_best_first(of_grid):
    table = summary_table(of_grid)
    short = shortened(table, where="")
    best = table.numbers["accuracy_personal_mean"].nlargest(SHOWN_ROWS).index
    assert list(short.text["variant"]) == list(table.text.loc[best, "variant"])
    assert "best accuracy first" in short.notes[0]


def test_losses_come_from_below(of_grid):
    table = summary_table(of_grid)
    numbers = table.numbers.rename(columns=lambda name: name.replace("accuracy", "eval_loss"))
    short = shortened(dataclasses.replace(table, numbers=numbers), where="")
    worst = table.numbers["accuracy_personal_mean"].nsmallest(SHOWN_ROWS).index
    assert list(short.text["variant"]) == list(table.text.loc[worst, "variant"])


def test_costs_to_a_target_come_by_who_reached_it_then_by_time(of_grid):
    table = target_table(of_grid, metric="accuracy", target=0.68)
    shares = table.numbers["num_reached"] / table.numbers["n"]
    assert (shares == 1).any()
    assert (shares < 1).any()
    short = shortened(table, where="")
    whole = table.numbers[shares == 1].nsmallest(SHOWN_ROWS, "at_s_mean").index
    assert list(short.text["variant"])[: len(whole)] == list(table.text.loc[whole, "variant"])


def test_without_an_order_there_are_no_rows_that_tell_most(of_grid):
    assert shortened(participation_table(of_grid), where="") is None


def test_a_short_table_stays_as_it_is(results):
    table = summary_table(results)
    assert len(table.text) <= MOST_ROWS
    assert shortened(table, where="") is table


def test_totals_of_a_study_without_training(grid, tmp_path):
    results = load_results(grid)
    study = dataclasses.replace(
        results, is_timing_only=True, evaluations=results.evaluations.iloc[:0]
    )
    table = total_table(study)
    first = shortened(table, where="").text.iloc[0]["variant"]
    assert first == table.text.loc[table.numbers["at_s_mean"].idxmin(), "variant"]
    differences = total_differences(study, baseline=None, by="bandwidth_hz")
    short = shortened(differences, where="")
    marks = [row.str.contains(r"\*").sum() for _, row in differences.text.iterrows()]
    assert short.text.iloc[0].str.contains(r"\*").sum() == np.max(marks)


def test_sixteen_variants_take_one_page_of_a_terminal(grid, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["compare", str(grid), "--target", "accuracy=0.6"]) == 0
    short = capsys.readouterr().out
    assert main(["compare", str(grid), "--target", "accuracy=0.6", "--format", "text"]) == 0
    full = capsys.readouterr().out
    assert len(short.splitlines()) < 60 < len(full.splitlines())
    assert "All of them: --format text, md, tex, csv or" in short
    assert "All of them" not in full
    assert main(["compare", str(grid), "--target", "accuracy=0.6", "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert f"6 of {len(rows) - 1} rows" in short


def test_parts_of_a_wide_table_can_be_told_apart(of_grid):
    table = shortened(compare(of_grid, metric="accuracy", target=0.6), where="")
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(rich_table(table))
    heads = [line for line in console.export_text().splitlines() if line.startswith(" #")]
    assert len(heads) >= 2


def test_a_report_names_the_tables_that_it_leaves_out(grid, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["report", str(grid)]) == 0
    said = capsys.readouterr().out
    assert "more tables in" in said
    assert "participation (16 rows)" in said
    assert f"{SHOWN_ROWS} of 16 rows, best accuracy first" in said
    assert len(said.splitlines()) < 120
    assert (grid / "tables" / "participation.md").read_text().count("\n") > 16
