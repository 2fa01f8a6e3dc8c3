import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from analysis.intervals import drawn_half_width
from analysis.stats import (
    COSTS,
    align_seeds,
    holm,
    is_better_low,
    mean_band,
    mean_ci,
    metric_curves,
    paired_difference,
    read_curve,
    target_summary,
    to_target,
)
from netsim.streams import Purpose, stream


def curves(**runs):
    """``seed_1=[(x, value), ...]`` as one variant's curves."""
    rows = [
        {"variant": "a", "seed": int(name[5:]), "at_s": x, "value": v}
        for name, points in runs.items()
        for x, v in points
    ]
    return pd.DataFrame(rows).astype({"at_s": float, "value": float})


def evaluations(values, *, variant="a", seed=1, metric="accuracy", split="global"):
    """One run that is evaluated every 10 s, 5 J and 2 MB."""
    places = range(len(values))
    return pd.DataFrame(
        {
            "variant": variant,
            "seed": seed,
            "round": list(places),
            "at_s": [10.0 * p for p in places],
            "energy_j": [5.0 * p for p in places],
            "uplink_bytes": [2_000_000 * p for p in places],
            "metric": metric,
            "split": split,
            "mean": values,
        }
    )


def test_interval_equals_scipys():
    values = [0.71, 0.78, 0.74, 0.80]
    row = mean_ci(pd.DataFrame({"v": "a", "x": values}), by="v", value="x").iloc[0]
    low, high = scipy_stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert row["mean"] == pytest.approx((low + high) / 2, rel=1e-12)
    assert row["half_width"] == pytest.approx((high - low) / 2, rel=1e-12)


def test_interval_covers_the_truth_as_often_as_it_says():
    # 2,000 studies of 3 seeds: coverage is binomial around 0.95, 4 standard errors = 0.0195.
    draws = stream(5, Purpose.EVALUATION).normal(7.0, 2.0, (2000, 3))
    frame = pd.DataFrame({"study": np.repeat(np.arange(2000), 3), "x": draws.ravel()})
    table = mean_ci(frame, by="study", value="x")
    covered = (table["mean"] - 7.0).abs() <= table["half_width"]
    assert covered.mean() == pytest.approx(0.95, abs=0.0195)


def test_one_seed_has_no_interval():
    row = mean_ci(pd.DataFrame({"v": ["a"], "x": [1.0]}), by="v", value="x").iloc[0]
    assert math.isnan(row["half_width"])
    assert row["n"] == 1


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_level_out_of_range(level):
    with pytest.raises(ValueError, match=r"level: must be in \(0, 1\)"):
        mean_ci(pd.DataFrame({"v": ["a"], "x": [1.0]}), by="v", value="x", level=level)


def test_step_holds_the_last_value_and_line_joins():
    x, values = np.array([0.0, 10.0, 20.0]), np.array([1.0, 3.0, 2.0])
    grid = np.array([-1.0, 0.0, 5.0, 10.0, 15.0, 20.0, 21.0])
    step = read_curve(x, values, grid, reading="step")
    line = read_curve(x, values, grid, reading="line")
    np.testing.assert_array_equal(step, [np.nan, 1, 1, 3, 3, 2, np.nan])
    np.testing.assert_array_equal(line, [np.nan, 1, 2, 3, 2.5, 2, np.nan])


def test_common_grid_is_where_all_seeds_run():
    frame = curves(seed_1=[(0, 0.1), (10, 0.5), (20, 0.7)], seed_2=[(2, 0.3), (12, 0.7), (30, 0.9)])
    aligned = align_seeds(frame, x="at_s")
    assert sorted(set(aligned["at_s"])) == [2.0, 10.0, 12.0, 20.0]
    band = mean_band(frame, x="at_s")
    np.testing.assert_allclose(band["mean"], [0.2, 0.4, 0.6, 0.7])
    assert (band["n"] == 2).all()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=6), min_size=1, max_size=4),
    st.sampled_from(["line", "step"]),
)
def test_mean_lies_between_the_seeds(runs, reading):
    frame = curves(**{
        f"seed_{seed}": [(float(10 * i + seed), v) for i, v in enumerate(values)]
        for seed, values in enumerate(runs)
    })  # fmt: skip
    aligned = align_seeds(frame, x="at_s", reading=reading)
    band = mean_band(frame, x="at_s", reading=reading).set_index("at_s")
    groups = aligned.groupby("at_s")["value"]
    assert (band["mean"] >= groups.min() - 1e-12).all()
    assert (band["mean"] <= groups.max() + 1e-12).all()


def test_curve_of_a_method_that_sends_nothing_is_its_last_value():
    rows = evaluations([0.1, 0.4, 0.6]).assign(uplink_bytes=0)
    got = metric_curves(rows, metric="accuracy", split="global", cost=COSTS["uplink"])
    assert got[["uplink_mb", "value"]].to_numpy().tolist() == [[0.0, 0.6]]


def test_first_evaluation_that_meets_the_target_counts():
    rows = evaluations([0.1, 0.8, 0.7, 0.9])
    got = to_target(rows, metric="accuracy", split="global", target=0.8).iloc[0]
    assert got["is_reached"]
    assert (got["at_s"], got["energy_j"], got["uplink_mb"], got["round"]) == (10.0, 5.0, 2.0, 1)


@pytest.mark.parametrize(
    ("means", "metric", "target", "place"),
    [
        ([0.1, 0.6, 0.7, 0.9], "accuracy", 0.8, 2.5),
        ([0.1, 0.8, 0.7, 0.9], "accuracy", 0.45, 0.5),
        ([0.1, 0.9, 0.7, 0.95], "accuracy", 0.9, 1.0),  # met exactly: no line is needed
        ([2.0, 1.5, 0.5], "eval_loss", 1.0, 1.5),
        ([0.2, np.nan, 0.6], "accuracy", 0.3, 0.5),  # on the line from the last value that is known
        ([0.9, 0.1, 0.95], "accuracy", 0.5, 0.0),  # already at the start
        ([0.4, 0.4, 0.5], "accuracy", 0.41, 1.1),
    ],
)
def test_cost_is_read_on_the_line_to_the_evaluation_that_meets_the_target(
    means, metric, target, place
):
    rows = evaluations(means, metric=metric)
    got = to_target(rows, metric=metric, split="global", target=target, interpolate=True).iloc[0]
    assert got["is_reached"]
    found = [got[name] for name in ("round", "at_s", "energy_j", "uplink_mb")]
    np.testing.assert_allclose(found, [place, 10 * place, 5 * place, 2 * place])
    assert got["at_s_end"] == 10.0 * (len(means) - 1)


def test_what_is_not_reached_has_no_cost_between_evaluations_either():
    rows = evaluations([0.1, 0.5])
    got = to_target(rows, metric="accuracy", split="global", target=0.8, interpolate=True).iloc[0]
    assert not got["is_reached"]
    assert np.isnan(got["at_s"])


def test_losses_are_met_from_above():
    rows = evaluations([2.0, 1.1, 0.9], metric="eval_loss")
    got = to_target(rows, metric="eval_loss", split="global", target=1.0).iloc[0]
    assert got["round"] == 2
    assert is_better_low("eval_loss")
    assert not is_better_low("accuracy")


def test_nan_never_meets_a_target():
    rows = evaluations([np.nan, np.nan])
    got = to_target(rows, metric="accuracy", split="global", target=0.0)
    assert list(got["is_reached"]) == [False]


def test_no_mean_unless_every_seed_reached_the_target():
    rows = pd.concat([
        evaluations([0.1, 0.9], variant="a", seed=1), evaluations([0.1, 0.2, 0.9], seed=2),
        evaluations([0.1, 0.9], variant="b", seed=1),
        evaluations([0.1, 0.2], variant="b", seed=2),
        evaluations([0.1, 0.2], variant="c", seed=1),
    ])  # fmt: skip
    reached = to_target(rows, metric="accuracy", split="global", target=0.8)
    table = target_summary(reached, column="at_s")
    assert table.loc["a", ["num_reached", "n", "mean"]].tolist() == [2, 2, 15.0]
    assert table.loc["b", ["num_reached", "n"]].tolist() == [1, 2]
    assert table.loc[["b", "c"], ["mean", "half_width"]].isna().all(axis=None)
    assert table.loc["b", ["low", "high"]].tolist() == [10.0, 10.0]


def test_paired_difference_equals_scipys_paired_test():
    rng = stream(3, Purpose.EVALUATION)
    world = rng.normal(100, 30, 8)
    rows = pd.DataFrame({
        "seed": list(range(8)) * 2,
        "variant": ["a"] * 8 + ["b"] * 8,
        "at_s": np.r_[world + rng.normal(5, 1, 8), world],
    })  # fmt: skip
    gap = paired_difference(rows, "a", "b", value="at_s")
    first, second = (rows.loc[rows["variant"] == v, "at_s"].to_numpy() for v in "ab")
    low, high = scipy_stats.ttest_rel(first, second).confidence_interval(0.95)
    assert gap.n == 8
    assert gap.mean == pytest.approx((low + high) / 2, rel=1e-9)
    assert gap.half_width == pytest.approx((high - low) / 2, rel=1e-9)
    assert gap.excludes_zero
    back = paired_difference(rows, "b", "a", value="at_s")
    assert back.mean == pytest.approx(-gap.mean)


def test_pairs_need_a_value_on_both_sides():
    rows = pd.DataFrame(
        {"seed": [1, 2, 1, 3], "variant": ["a", "a", "b", "b"], "at_s": [1.0, np.nan, 3.0, 4.0]}
    )
    gap = paired_difference(rows, "a", "b", value="at_s")
    assert (gap.n, gap.mean) == (1, -2.0)
    assert not gap.excludes_zero
    nothing = paired_difference(rows, "a", "absent", value="at_s")
    assert nothing.n == 0
    assert math.isnan(nothing.mean)


def test_the_band_of_two_seeds_is_their_range():
    curves = pd.DataFrame(
        {
            "variant": "a",
            "seed": [1, 1, 2, 2],
            "at_s": [0.0, 1.0] * 2,
            "value": [0.1, 0.6, 0.3, 0.7],
        }
    )
    band = mean_band(curves, x="at_s")
    half = drawn_half_width(band["half_width"], band["n"])
    assert band["mean"].to_numpy() - half == pytest.approx([0.1, 0.6])
    assert band["mean"].to_numpy() + half == pytest.approx([0.3, 0.7])


def test_holm_is_as_by_hand_and_keeps_order():
    # 4 values: 0.01 x 4, 0.02 x 3, 0.03 x 2 = 0.06 (no less than the one before), 0.5 x 1
    assert holm([0.5, 0.02, 0.01, 0.03]) == pytest.approx([0.5, 0.06, 0.04, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([]) == []


def test_equal_differences_have_no_spread():
    rows = pd.DataFrame(
        {"variant": ["a", "b"] * 3, "seed": [1, 1, 2, 2, 3, 3], "at_s": [2.0, 1.0] * 3}
    )
    gap = paired_difference(rows, "a", "b", value="at_s")
    assert (gap.mean, gap.p_value) == (1.0, 0.0)
    assert math.isnan(gap.effect_size)
    same = paired_difference(rows.assign(at_s=1.0), "a", "b", value="at_s")
    assert (same.mean, same.p_value) == (0.0, 1.0)
