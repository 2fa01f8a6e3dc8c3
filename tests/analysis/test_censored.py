"""Restricted means by hand: two variants, three seeds, some of which gave up."""

import dataclasses
import math

import pandas as pd
import pytest

from analysis.canvas import figure_style
from analysis.censored import (
    horizon_of,
    not_reached_words,
    restricted_costs,
    restricted_difference,
    restricted_summary,
)
from analysis.compare import compare
from analysis.figures import draw_picture
from analysis.picture import Subject
from analysis.stats import to_target
from analysis.tables import target_table

RUNS = pd.DataFrame(
    [
        # variant, seed, cost to the target (None: not reached), cost at the end
        ("a", 1, 10.0, 100.0),
        ("a", 2, 30.0, 100.0),
        ("a", 3, None, 60.0),
        ("b", 1, 40.0, 100.0),
        ("b", 2, 80.0, 100.0),
        ("b", 3, None, 90.0),
    ],
    columns=["variant", "seed", "at_s", "at_s_end"],
).assign(is_reached=lambda rows: rows["at_s"].notna())


def test_the_horizon_is_the_least_that_a_run_without_the_target_had_spent():
    assert horizon_of(RUNS, column="at_s") == 60.0
    assert horizon_of(RUNS[RUNS["variant"] == "b"], column="at_s") == 90.0
    assert horizon_of(RUNS[RUNS["is_reached"]], column="at_s") == math.inf


def test_a_larger_cost_and_one_that_is_not_known_count_as_the_horizon():
    costs = restricted_costs(RUNS, column="at_s", horizon=60.0)
    assert list(costs) == [10.0, 30.0, 60.0, 40.0, 60.0, 60.0]


def test_restricted_means_by_hand():
    got = restricted_summary(RUNS, column="at_s")
    assert got.loc["a", "restricted_mean"] == pytest.approx((10 + 30 + 60) / 3)
    assert got.loc["b", "restricted_mean"] == pytest.approx((40 + 60 + 60) / 3)
    # t quantile of 2 degrees of freedom, 4.3027, times the deviation over the root of 3
    deviation = math.sqrt(((10 - 100 / 3) ** 2 + (30 - 100 / 3) ** 2 + (60 - 100 / 3) ** 2) / 2)
    half_width = 4.302653 * deviation / math.sqrt(3)
    assert got.loc["a", "restricted_half_width"] == pytest.approx(half_width, rel=1e-6)
    assert set(got["horizon"]) == {60.0}


def test_it_is_the_area_below_the_share_of_runs_that_are_not_there_yet():
    """Shares of a: 1 until 10 s, 2/3 until 30 s, 1/3 until the horizon."""
    area = 10 * 1 + 20 * 2 / 3 + 30 * 1 / 3
    got = restricted_summary(RUNS, column="at_s")
    assert got.loc["a", "restricted_mean"] == pytest.approx(area)


def test_where_all_got_there_it_is_the_mean():
    got = restricted_summary(RUNS[RUNS["is_reached"]], column="at_s")
    assert got.loc["b", "restricted_mean"] == 60.0
    assert got.loc["b", "horizon"] == math.inf


def test_paired_differences_are_those_of_the_restricted_costs():
    gap, horizon = restricted_difference(RUNS, "a", "b", column="at_s")
    assert horizon == 60.0
    assert gap.n == 3
    assert gap.mean == pytest.approx(((10 - 40) + (30 - 60) + (60 - 60)) / 3)


def test_without_any_run_at_the_target_there_is_no_difference():
    nobody = RUNS.assign(is_reached=False, at_s=math.nan)
    gap, _ = restricted_difference(nobody, "a", "b", column="at_s")
    assert gap.n == 0


def test_runs_that_never_pay_do_not_bound_the_others_and_have_no_cost():
    """A method that sends nothing: at no number of bytes is it known whether it would get there."""
    silent = RUNS.assign(at_s_end=RUNS["at_s_end"].where(RUNS["variant"] == "b", 0.0))
    assert horizon_of(silent, column="at_s") == 90.0
    got = restricted_summary(silent, column="at_s")
    assert math.isnan(got.loc["a", "restricted_mean"])
    assert got.loc["b", "restricted_mean"] == pytest.approx((40 + 80 + 90) / 3)
    assert restricted_difference(silent, "a", "b", column="at_s")[0].n == 0


def partly(results):
    """A target that two of three seeds of one variant reach on the global model."""
    best = results.used(results.evaluations).query("variant == 'fedit_r8' and split == 'global'")
    best = best.groupby("seed")["mean"].max().sort_values()
    return float(best.iloc[0] + best.iloc[1]) / 2


def test_the_table_says_what_is_restricted_and_to_what(results):
    target = partly(results)
    table = target_table(results, metric="accuracy", target=target)
    where = (table.numbers["variant"] == "fedit_r8") & (table.numbers["split"] == "global")
    row, text = table.numbers[where].iloc[0], table.text[where.to_numpy()].iloc[0]
    assert (row["num_reached"], row["n"]) == (2, 3)
    used = results.used(results.evaluations)
    runs = to_target(used, metric="accuracy", split="global", target=target)
    expected = restricted_summary(runs, column="at_s").loc["fedit_r8", "restricted_mean"]
    assert row["at_s_restricted_mean"] == pytest.approx(expected)
    assert math.isnan(row["at_s_mean"])
    assert text["simulated time [s]"] == f"> {row['at_s_horizon']:.1f} *"  # none was there so early
    assert text["uplink [MB]"].endswith(" *")
    (note,) = [note for note in table.notes if note.startswith("*, global: restricted mean")]
    assert f"{row['at_s_horizon']:.1f} s" in note


def test_the_caption_names_who_did_not_reach_the_target(results):
    target = partly(results)
    study = dataclasses.replace(
        results, manifest=dataclasses.replace(results.manifest, targets={"accuracy": target})
    )
    with figure_style():
        caption = draw_picture("target", study, Subject(metric="accuracy")).caption
    assert "Not reached: FedIT, rank 8 global 1 of 3" in caption
    assert "Local only personal 3 of 3" in caption


def test_a_caption_names_few_of_many():
    rows = pd.DataFrame({"variant": list("abcdefgh"), "split": "x", "num_reached": 0, "n": 2})
    words = not_reached_words(rows, {name: name for name in "abcdefgh"})
    assert words == " Not reached: " + "; ".join(f"{v} 2 of 2" for v in "abcdef") + "; and 2 more."


def test_a_comparison_of_restricted_means_names_its_horizon(results):
    """With a target that is missed by one seed of a variant that is far slower on every one."""
    evaluations = results.evaluations
    is_late = (evaluations["variant"] == "fedit_r8") & (evaluations["seed"] == 1)
    others = (evaluations["variant"] == "fedit_r8") & ~is_late
    evaluations = evaluations[
        ~(is_late & (evaluations["mean"] >= 0.6))
        & ~(others & (evaluations["mean"].between(0.6, 0.8)))
    ]
    study = dataclasses.replace(results, evaluations=evaluations)
    table = compare(study, metric="accuracy", target=0.6, baseline="local")
    row = table.numbers.query("first == 'fedit_r8' and cost == 'at_s'").iloc[0]
    assert (row["num_reached_first"], row["n_first"]) == (2, 3)
    assert row["num_pairs"] == 3
    assert row["horizon"] > 0
    if abs(row["difference"]) > row["half_width"]:
        assert row["winner"] == "local"
        assert f"needs less up to {row['horizon']:.2f}"[:18] in row["verdict"]
    else:
        assert row["verdict"].startswith("open: reached by FedIT, rank 8 2 of 3")
