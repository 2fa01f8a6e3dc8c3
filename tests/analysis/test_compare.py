import dataclasses

import pytest
from scipy.stats import ttest_rel

from analysis.compare import compare
from analysis.errors import ResultError
from analysis.load import load_results
from analysis.stats import to_target
from tests.analysis.synthetic import METHODS, write_results


def rows_of(table, first, second, split="personal"):
    numbers = table.numbers.query(f"first == '{first}' and second == '{second}'")
    return numbers.query(f"split == '{split}'").set_index("cost")


def test_winner_only_where_the_interval_leaves_out_zero(results):
    numbers = compare(results, metric="accuracy", target=0.8).numbers
    named = numbers[numbers["winner"] != ""]
    assert len(named)
    assert (named["difference"].abs() > named["half_width"]).all()
    silent = numbers[numbers["verdict"] == "no difference shown"]
    assert (silent["difference"].abs() <= silent["half_width"]).all()


def test_smaller_payload_wins_in_bytes(results):
    table = compare(results, metric="accuracy", target=0.8)
    row = rows_of(table, "fedit_r8", "pftt_r8").loc["uplink_mb"]
    assert row["winner"] == "pftt_r8"
    assert row["difference"] > 0
    assert row["num_pairs"] == 3


def test_one_that_never_arrives_is_no_loser_by_interval(results):
    row = rows_of(compare(results, metric="accuracy", target=0.8), "local", "pftt_r8").iloc[0]
    assert row["winner"] == ""
    assert row["verdict"] == "only PFTT, d 8, rank 8 reached it"


def test_neither_arrives(results):
    numbers = compare(results, metric="accuracy", target=1.5).numbers
    assert set(numbers["verdict"]) == {"neither reached it"}


def test_partly_reached_decides_nothing(results):
    best = results.used(results.evaluations).query("variant == 'fedit_r8' and split == 'global'")
    best = best.groupby("seed")["mean"].max().sort_values()
    target = (best.iloc[0] + best.iloc[1]) / 2
    numbers = compare(results, metric="accuracy", target=target).numbers
    row = numbers.query("split == 'global'").iloc[0]
    assert row["winner"] == ""
    assert row["verdict"].startswith("open: reached by FedIT, rank 8 2 of 3")


def test_identical_twins_show_no_difference(tmp_path):
    twin = dataclasses.replace(METHODS[1], name="twin", label="Twin")
    folder = write_results(tmp_path / "out", methods=[METHODS[1]], num_rounds=12)
    other = write_results(tmp_path / "other", methods=[twin], num_rounds=12)
    (other / "twin").rename(folder / "twin")
    text = (folder / "manifest.json").read_text()
    entry = '{"name": "twin", "label": "Twin", "method": "twin"},'
    text = text.replace('"variants": [', f'"variants": [{entry}')
    runs = "".join(
        f'{{"variant": "twin", "seed": {seed}, "status": "done"}},' for seed in (1, 2, 3)
    )
    (folder / "manifest.json").write_text(text.replace('"runs": [', f'"runs": [{runs}'))
    numbers = compare(load_results(folder), metric="accuracy", target=0.6).numbers
    assert (numbers["difference"] == 0).all()
    assert set(numbers["verdict"]) == {"no difference shown"}


def test_baseline_limits_the_pairs(results):
    numbers = compare(results, metric="accuracy", target=0.8, baseline="fedit_r8").numbers
    assert set(numbers["second"]) == {"fedit_r8"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "f1", "target": 0.8}, "no metric 'f1'; evaluated were accuracy"),
        (
            {"metric": "accuracy", "target": 0.8, "baseline": "x"},
            r"one of local, .*, got 'x'",
        ),
    ],
)
def test_unknown_names(results, arguments, message):
    with pytest.raises(ResultError, match=message):
        compare(results, **arguments)


def test_one_variant_alone(tmp_path):
    folder = write_results(tmp_path / "out", methods=METHODS[1:2], seeds=(1,), num_rounds=2)
    with pytest.raises(ResultError, match="nothing to compare: only fedit_r8"):
        compare(load_results(folder), metric="accuracy", target=0.8)


def test_p_values_are_those_of_a_paired_t_test_and_adjusted_for_all_rows(results):
    table = compare(results, metric="accuracy", target=0.8)
    row = rows_of(table, "fedit_r8", "pftt_r8").loc["at_s"]
    reached = to_target(
        results.used(results.evaluations), metric="accuracy", split="personal", target=0.8
    )
    wide = reached.pivot(index="seed", columns="variant", values="at_s")
    test = ttest_rel(wide["fedit_r8"], wide["pftt_r8"])
    assert row["p_value"] == pytest.approx(test.pvalue, rel=1e-9)
    gaps = wide["fedit_r8"] - wide["pftt_r8"]
    assert row["effect_size"] == pytest.approx(gaps.mean() / gaps.std(ddof=1))
    numbers = table.numbers
    assert (numbers["p_holm"].dropna() >= numbers["p_value"].dropna()).all()
    smallest = numbers["p_value"].idxmin()
    count = numbers["p_value"].count()
    assert numbers["p_holm"][smallest] == pytest.approx(
        min(1.0, count * numbers["p_value"][smallest])
    )


def test_number_of_comparisons_is_stated(results):
    table = compare(results, metric="accuracy", target=0.8)
    assert table.notes[1].startswith(f"{len(table.numbers)} comparisons")
