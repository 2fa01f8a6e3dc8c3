"""Costs to a target where some runs did not reach it: restricted means up to a common horizon.

A run that ended without the target is censored: what the target would have cost is not known, only
that it is more than the run had spent. Up to the least that such a run had spent, the horizon, it
is known of every run whether it was there. With the horizon in the place of all larger costs the
plain mean over runs is the restricted mean, the area below the share of runs that are not there yet
(Royston and Parmar, BMC Medical Research Methodology 13, 2013 [recollected]).
"""

import math
from collections.abc import Mapping

import pandas as pd

from analysis.stats import LEVEL, PairedDifference, mean_ci, paired_difference

MOST_NAMED = 6
"""Variants that a sentence names."""


def horizon_of(reached: pd.DataFrame, *, column: str) -> float:
    """Return the cost up to which it is known of every run whether it had reached the target.

    Parameters
    ----------
    reached
        Runs that are compared, as :func:`analysis.stats.to_target` gives them.
    column
        Cost column.

    Returns
    -------
    float
        In the column's unit; infinite where every run got there. Runs that never pay this cost (a
        method that sends nothing) do not bound it.
    """
    ends = reached.loc[~reached["is_reached"].astype(bool), f"{column}_end"]
    return float(ends[ends > 0.0].min()) if (ends > 0.0).any() else math.inf


def restricted_costs(reached: pd.DataFrame, *, column: str, horizon: float) -> "pd.Series[float]":
    """Return each run's cost to the target, or the horizon where that is less.

    NaN of a run that ended before the horizon without the target: one that never pays this cost.
    """
    is_there = reached["is_reached"].astype(bool)
    costs = reached[column].where(is_there, math.inf).clip(upper=horizon)
    is_known = is_there | (reached[f"{column}_end"] >= horizon)
    return costs.where(is_known)


def restricted_summary(reached: pd.DataFrame, *, column: str, level: float = LEVEL) -> pd.DataFrame:
    """Return the restricted mean of every variant, all up to the same horizon.

    Parameters
    ----------
    reached, column
        As for :func:`horizon_of`.
    level
        Confidence level.

    Returns
    -------
    pandas.DataFrame
        Index ``variant``; ``restricted_mean``, ``restricted_half_width`` (Student t over seeds),
        both NaN where the cost of a seed is not known, and ``horizon``.

    Examples
    --------
    Two seeds took 10 s and 20 s, one gave up after 50 s: restricted to 50 s, (10 + 20 + 50) / 3.

    >>> runs = pd.DataFrame({"variant": "a", "seed": [1, 2, 3], "is_reached": [True, True, False],
    ...                      "at_s": [10.0, 20.0, float("nan")], "at_s_end": [60.0, 60.0, 50.0]})
    >>> restricted_summary(runs, column="at_s").round(2).to_dict("records")
    [{'restricted_mean': 26.67, 'restricted_half_width': 51.71, 'horizon': 50.0}]
    """
    horizon = horizon_of(reached, column=column)
    costs = reached.assign(cost=restricted_costs(reached, column=column, horizon=horizon))
    means = mean_ci(costs, by="variant", value="cost", level=level)
    is_known = costs["cost"].notna().groupby(costs["variant"], sort=False).all()
    return pd.DataFrame(
        {
            "restricted_mean": means["mean"].where(is_known),
            "restricted_half_width": means["half_width"].where(is_known),
            "horizon": horizon,
        }
    )


def restricted_difference(
    reached: pd.DataFrame, first: str, second: str, *, column: str, level: float = LEVEL
) -> tuple[PairedDifference, float]:
    """Compare the restricted means of two variants seed by seed.

    Parameters
    ----------
    reached, column
        As for :func:`horizon_of`.
    first, second
        Variant names.
    level
        Confidence level.

    Returns
    -------
    gap : PairedDifference
        First minus second; without pairs where no run of either got there, or the cost of a run is
        not known.
    horizon : float
        That of the two: infinite where all their runs got there.
    """
    both = reached[reached["variant"].isin([first, second])]
    horizon = horizon_of(both, column=column)
    costs = both.assign(cost=restricted_costs(both, column=column, horizon=horizon))
    if not both["is_reached"].any() or costs["cost"].isna().any():
        return PairedDifference(mean=math.nan, half_width=math.nan, n=0), horizon
    gap = paired_difference(costs, first, second, value="cost", level=level)
    return gap, horizon


def not_reached_words(frame: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Say which variants did not reach the target with every seed; empty where all did.

    Parameters
    ----------
    frame
        Columns ``variant``, ``split``, ``num_reached``, ``n``.
    labels
        Names by variant.

    Examples
    --------
    >>> rows = pd.DataFrame({"variant": ["a", "b"], "split": "global", "n": [3, 3],
    ...                      "num_reached": [2, 3]})
    >>> not_reached_words(rows, {"a": "FedIT", "b": "FedTT"})
    ' Not reached: FedIT 1 of 3.'
    """
    rows = frame[["variant", "split", "num_reached", "n"]].drop_duplicates(["variant", "split"])
    has_splits = len(set(rows["split"])) > 1
    told = [
        f"{labels[row['variant']]}{' ' + row['split'] if has_splits else ''} "
        f"{row['n'] - row['num_reached']} of {row['n']}"
        for row in rows.to_dict("records")
        if row["num_reached"] < row["n"]
    ]
    if not told:
        return ""
    rest = len(told) - MOST_NAMED
    named = "; ".join(told[:MOST_NAMED]) + (f"; and {rest} more" if rest > 0 else "")
    return f" Not reached: {named}."
