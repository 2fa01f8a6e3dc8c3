import dataclasses
import io

import pytest
from rich.console import Console

from analysis.load import load_results
from analysis.outlets import rich_table, to_latex, to_markdown
from analysis.stats import final_values
from analysis.tables import metrics_of, splits_of, summary_table, target_cell, target_table
from analysis.units import axis_label, display_unit, unit_of, with_interval
from tests.analysis.synthetic import METHODS, write_results


def test_summary_is_the_mean_of_the_last_evaluations(results):
    table = summary_table(results)
    row = table.numbers.set_index("variant").loc["fedit_r8"]
    last = final_values(results.evaluations).query("variant == 'fedit_r8' and split == 'global'")
    assert row["accuracy_global_mean"] == pytest.approx(last["mean"].mean(), rel=1e-12)
    assert row["energy_j_mean"] == pytest.approx(last["energy_j"].mean(), rel=1e-12)
    assert row["n"] == 3
    assert table.numbers.set_index("variant").loc["fedtt_r5", "n"] == 2  # one was killed


def test_summary_has_wasted_joules_where_there_are_any(results, tmp_path):
    parts = results.used(results.clients).query("variant == 'fedit_r8' and outcome != 'received'")
    spent_j = (parts["compute_j"] + parts["radio_j"]).groupby(parts["seed"]).sum()
    table = summary_table(results)
    row = table.numbers.set_index("variant").loc["fedit_r8"]
    assert row["wasted_j_mean"] == pytest.approx(spent_j.sum() / 3, rel=1e-9)
    assert spent_j.sum() > 0
    assert any(note.startswith("Wasted energy is the part") for note in table.notes)
    folder = write_results(tmp_path / "out", methods=METHODS[:1], seeds=(1,), num_rounds=2)
    of_local = summary_table(load_results(folder))
    assert not any("wasted" in head for head in of_local.text.columns)


def test_variant_without_a_global_model_has_an_empty_cell(results):
    text = summary_table(results).text.set_index("variant")
    assert text.loc["Local only", "accuracy global"] == "-"
    assert text.loc["Local only", "accuracy personal"] != "-"


def test_costs_between_evaluations_are_lower_and_are_said_to_be(results):
    between = dataclasses.replace(results, interpolates=True)
    first, line = (target_table(each, metric="accuracy", target=0.8) for each in (results, between))
    assert first.notes[0].startswith("First evaluation that meets the target")
    assert line.notes[0].startswith("Costs to the target on the straight line between")
    is_reached = first.numbers["num_reached"] == first.numbers["n"]
    for name in ("at_s_mean", "energy_j_mean", "round_mean"):
        gaps = (first.numbers[name] - line.numbers[name])[is_reached]
        assert len(gaps) > 0
        assert (gaps > 0).all()


def test_target_never_reached_is_said(results):
    table = target_table(results, metric="accuracy", target=0.8)
    local = table.text.query("variant == 'Local only'").iloc[0]
    assert local["reached"] == "0 of 3"
    assert list(local.iloc[3:]) == ["not reached"] * 4


def test_partly_reached_target_gives_a_restricted_mean_and_no_other(results):
    reachable = results.used(results.evaluations).query("split == 'global'")
    best = reachable.groupby(["variant", "seed"])["mean"].max()["fedit_r8"].sort_values()
    between = (best.iloc[0] + best.iloc[1]) / 2
    table = target_table(results, metric="accuracy", target=between)
    row = table.text.query("variant == 'FedIT, rank 8' and model == 'global'").iloc[0]
    assert row["reached"] == "2 of 3"
    assert row["simulated time [s]"].endswith(" *")
    numbers = table.numbers.query("variant == 'fedit_r8' and split == 'global'").iloc[0]
    assert numbers[["at_s_mean", "at_s_half_width"]].isna().all()


def test_one_seed_has_no_interval_and_says_so(tmp_path):
    folder = write_results(tmp_path / "out", methods=METHODS[1:2], seeds=(1,), num_rounds=2)
    table = summary_table(load_results(folder))
    assert not any("±" in str(cell) for cell in table.text.iloc[0])
    assert "one seed has no interval" in table.notes[0]


def test_cost_label_is_on_every_table(tmp_path):
    folder = write_results(
        tmp_path / "out", methods=METHODS[1:2], seeds=(1,), num_rounds=2, cost_label="as llama-7b"
    )
    results = load_results(folder)
    for table in (summary_table(results), target_table(results, metric="accuracy", target=0.8)):
        assert "Costs as llama-7b." in table.notes


def test_target_metric_comes_first_and_global_before_personal(results):
    assert metrics_of(results) == ["accuracy"]
    assert splits_of(results, "accuracy") == ["global", "personal"]


def test_markdown_has_equal_columns_in_every_row(results):
    lines = to_markdown(summary_table(results)).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(METHODS)
    assert len({row.count("|") for row in rows}) == 1


def test_latex_escapes_and_has_booktabs_rules(results):
    text = to_latex(summary_table(results))
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"10 \%", r"$\pm$"):
        assert part in text
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    assert len({line.count("&") for line in body.splitlines() if "&" in line}) == 1


def test_terminal_shows_every_label_and_bracketed_unit(results):
    console = Console(file=io.StringIO(), width=160)
    console.print(rich_table(summary_table(results)))
    shown = console.file.getvalue()
    for part in ("FedIT, rank 8", "[kJ]", "Student-t"):
        assert part in shown


@pytest.mark.parametrize("width", [40, 80, 110, 160])
def test_no_cell_is_cut_however_narrow_the_terminal(results, width):
    table = summary_table(results)
    console = Console(file=io.StringIO(), width=width)
    console.print(rich_table(table))
    shown = console.file.getvalue()
    assert "…" not in shown
    assert max(len(line) for line in shown.splitlines()) <= width


@pytest.mark.parametrize("width", [60, 80, 110, 160])
def test_no_word_is_broken_where_two_columns_have_room(results, width):
    table = summary_table(results)
    console = Console(file=io.StringIO(), width=width)
    console.print(rich_table(table))
    grids = console.file.getvalue().split("Mean over n seeds")[0]
    shown = set(grids.split())
    words = {word for head in table.text.columns for word in head.split()}
    words |= {word for row in table.text.to_numpy() for cell in row for word in str(cell).split()}
    assert words - shown == set()


def test_narrow_terminal_turns_the_table_on_its_side(tmp_path):
    folder = write_results(tmp_path / "out", methods=METHODS[1:3], seeds=(1, 2), num_rounds=2)
    table = summary_table(load_results(folder))
    firsts = {}
    for width in (80, 240):
        console = Console(file=io.StringIO(), width=width)
        console.print(rich_table(table))
        lines = [line.split() for line in console.file.getvalue().splitlines() if line.strip()]
        firsts[width] = {line[0] for line in lines}
    assert "accuracy" in firsts[80]
    assert "n" in firsts[80]
    assert {"FedIT,", "FedTT,"} <= firsts[240]


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.0, float("nan"), "0"),
        (12.0, 0.0, "12"),
        (99.96, 0.996, "99.96 ± 1.00"),
        (1e-9, 1e-10, "1e-09 ± 1e-10"),
        (float("nan"), float("nan"), "-"),
        (3.0, float("inf"), "3 ± inf"),
    ],
)
def test_number_text_at_the_edges(mean, half, text):
    assert with_interval(mean, half) == text


def test_labels_come_from_the_suffix():
    assert axis_label("queue_time_s") == "queue time [s]"
    assert axis_label("num_clients") == "num clients"
    assert unit_of("uplink_mb") == "MB"
    assert display_unit("uplink_mb", 0.0).symbol == "MB"
    assert display_unit("uplink_mb", 0.02).symbol == "kB"
    assert display_unit("at_s", 86_400.0).scale == 3600.0


@pytest.mark.parametrize(
    ("restricted", "text"),
    [
        ((40.0, 3.0), "40.0 ± 3.0 *"),
        ((60.0, 0.0), "> 60 *"),
        ((float("nan"), float("nan")), "10 to 50"),
    ],
)
def test_cell_of_a_partly_reached_target(restricted, text):
    row = {"num_reached": 2, "n": 3, "mean": float("nan"), "half_width": float("nan")}
    row |= {"low": 10.0, "high": 50.0, "horizon": 60.0}
    row |= dict(zip(("restricted_mean", "restricted_half_width"), restricted, strict=True))
    assert target_cell(row, 1.0) == text
