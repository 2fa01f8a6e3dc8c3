"""Studies in which nothing was trained: costs and who took part, without a metric."""

import csv

import pytest

from analysis.compare import compare
from analysis.errors import ResultError
from analysis.load import load_results
from analysis.report import write_report
from analysis.tables import metrics_of
from analysis.totals import TOTALS, run_totals, total_differences, total_table
from tests.analysis.synthetic import METHODS, without_metrics, write_results

TWO = METHODS[1:3]


@pytest.fixture
def folder(timing):
    return timing.folder


def rows(folder, name):
    with (folder / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_folder_without_evaluations_is_one_of_timing_only(timing):
    assert timing.is_timing_only
    assert timing.runs["is_used"].all()
    assert metrics_of(timing) == []


def test_older_folders_do_not_say_so_and_are_read_all_the_same(tmp_path):
    results = load_results(
        without_metrics(write_results(tmp_path, methods=TWO, seeds=[1]), is_told=False)
    )
    assert results.is_timing_only


def test_a_study_that_trains_is_none(results):
    assert not results.is_timing_only


def test_an_interrupted_run_is_shown_as_far_as_it_got(tmp_path):
    cut = {(TWO[0].name, 1): 4}
    folder = without_metrics(write_results(tmp_path, methods=TWO, seeds=[1], cut=cut))
    results = load_results(folder)
    assert results.is_timing_only
    assert any("interrupted after 4 rounds; shown as far as it got" in n for n in results.notes)


def test_nothing_before_the_first_round(tmp_path):
    folder = without_metrics(write_results(tmp_path, methods=TWO[:1], seeds=[1], num_rounds=1))
    for path in folder.glob("*/seed*/rounds.csv"):
        head = path.read_text(encoding="utf-8").partition("\n")[0]
        path.write_text(f"{head}\n", encoding="utf-8")
    with pytest.raises(ResultError, match="nothing finished: no run has a round yet"):
        load_results(folder)


def test_totals_are_those_of_the_rows(folder, timing):
    totals = run_totals(timing)
    assert list(totals.columns) == ["variant", "seed", *TOTALS]
    assert len(totals) == 6
    for row in totals.to_dict("records"):
        own = rows(folder / row["variant"] / f"seed{row['seed']}", "rounds")
        clients = rows(folder / row["variant"] / f"seed{row['seed']}", "clients")
        assert row["at_s"] == float(own[-1]["finished_at_s"])
        assert row["energy_j"] == float(own[-1]["energy_j"])
        for way in ("uplink", "downlink"):
            sent = sum(int(each[f"{way}_bytes"]) for each in own)
            assert row[f"{way}_mb"] == pytest.approx(sent / 1e6)
        wasted = sum(float(each["wasted_j"]) for each in clients)
        assert row["wasted_j"] == pytest.approx(wasted)


def test_what_sites_and_server_exchange_is_shown_where_there_is_any(tmp_path):
    folder = without_metrics(write_results(tmp_path, methods=TWO[:1], seeds=[1]))
    (path,) = folder.glob("*/seed*/rounds.csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    told = [f"{lines[0]},relayed_bytes", *(f"{line},2000" for line in lines[1:])]
    path.write_text("\n".join(told) + "\n", encoding="utf-8")
    table = total_table(load_results(folder))
    assert table.numbers["relayed_mb_mean"].tolist() == [pytest.approx(0.002 * (len(lines) - 1))]
    assert "between sites and server [kB]" in table.text


def test_the_summary_says_that_nothing_was_trained(timing):
    table = total_table(timing)
    assert table.notes[0] == "Timing only: nothing was trained, so no metric is measured."
    assert not [head for head in table.text.columns if "accuracy" in head]
    means = run_totals(timing).groupby("variant")["energy_j"].mean()
    found = table.numbers.set_index("variant")["energy_j_mean"]
    assert found.to_dict() == pytest.approx(means.to_dict())


def test_a_report_has_times_joules_bytes_and_who_took_part(folder):
    report = write_report(folder)
    names = [table.name for table in report.tables]
    assert names[:3] == ["summary", "energy", "participation"]
    assert names[-1] == "runs"
    figures = {figure.name for figure in report.figures}
    assert {"totals", "energy_breakdown", "round_breakdown", "duration_cdf"} <= figures
    page = report.index.read_text(encoding="utf-8")
    assert "timing only: nothing was trained" in page
    assert "accuracy" not in page
    energy = report.tables[1].numbers
    clients = energy[energy["owner"] == "client"].groupby("variant")["mean"].sum()
    summary = report.tables[0].numbers.set_index("variant")["energy_j_mean"]
    assert clients.to_dict() == pytest.approx(summary.to_dict())


def test_costs_are_compared_with_a_variant_or_method_by_seed(timing):
    first, second = (method.name for method in TWO)
    table = total_differences(timing, baseline=first)
    assert set(table.numbers["variant"]) == {second}
    wide = run_totals(timing).pivot(index="seed", columns="variant", values="at_s")
    row = table.numbers.set_index("cost").loc["at_s"]
    assert row["difference"] == pytest.approx((wide[second] - wide[first]).mean())
    assert row["num_pairs"] == 3
    assert row["verdict"] in ("less", "more", "")
    by_method = total_differences(timing, baseline=first.partition("_")[0])
    assert by_method.numbers.equals(table.numbers)


def test_what_cannot_be_compared_is_one_line(timing):
    rule = "timing only: nothing was trained; --baseline: must be one of fedit_r8.*, got 'other'"
    with pytest.raises(ResultError, match=rule):
        total_differences(timing, baseline="other")
    rule = "timing only: nothing was trained, so no accuracy; total costs: --baseline VARIANT"
    with pytest.raises(ResultError, match=rule):
        compare(timing, metric="accuracy", target=0.5)
