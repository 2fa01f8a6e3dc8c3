"""Final metrics against a baseline, by hand and in the words of the table."""

import numpy as np
import pytest
from scipy import stats

from analysis.differences import final_differences
from analysis.errors import ResultError
from analysis.stats import final_values


def test_difference_is_the_paired_one_by_hand(results):
    table = final_differences(results, baseline="fedit_r8")
    final = final_values(results.used(results.evaluations)).query("split == 'personal'")
    ends = final.pivot(index="seed", columns="variant", values="mean")
    gaps = ends["local"] - ends["fedit_r8"]
    found = table.numbers.query(
        "variant == 'local' and split == 'personal' and summary == 'mean'"
    ).iloc[0]
    assert found["num_pairs"] == len(gaps) == 3
    assert found["difference"] == pytest.approx(gaps.mean())
    half = stats.t.ppf(0.975, 2) * gaps.std(ddof=1) / np.sqrt(3)
    assert found["half_width"] == pytest.approx(half)
    assert found["verdict"] == ("worse" if abs(gaps.mean()) > half else "")


def test_stars_stand_where_the_interval_leaves_out_zero(results):
    table = final_differences(results, baseline="fedit_r8")
    is_apart = table.numbers["difference"].abs() > table.numbers["half_width"]
    assert (is_apart == (table.numbers["verdict"] != "")).all()
    stars = table.text.drop(columns="variant").apply(lambda cells: cells.str.contains(r"\*"))
    assert int(stars.to_numpy().sum()) == int(is_apart.sum())
    assert "fedit_r8" not in set(table.numbers["variant"])


def test_unknown_baseline_is_one_line(results):
    with pytest.raises(ResultError, match=r"must be one of .*fedit_r8, fedtt_r5.*, got 'fedt'"):
        final_differences(results, baseline="fedt")
