"""Statistics over seeds: aligned curves, Student-t intervals, cost to a target, paired differences.

Two rules hold everywhere. A mean never stands without the number of seeds behind it, and has an
interval from two seeds on. A run that does not reach a target has no cost to it: such runs are
counted, and their means are restricted ones (:mod:`analysis.censored`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import t as student_t

LEVEL = 0.95
"""Confidence level of every interval unless another is asked for."""

Series = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a metric is measured against: a cumulative column of ``evaluations.csv``."""

    key: str
    """Short name, used in file names."""
    source: str
    """Column of ``evaluations.csv``."""
    column: str
    """Column of derived tables; its suffix is the unit."""
    per_unit: float = 1.0
    """Source units in one unit of ``column``."""


COSTS: dict[str, Cost] = {
    cost.key: cost
    for cost in (
        Cost(key="seconds", source="at_s", column="at_s"),
        Cost(key="joules", source="energy_j", column="energy_j"),
        Cost(key="uplink", source="uplink_bytes", column="uplink_mb", per_unit=1e6),
        Cost(key="rounds", source="round", column="round"),
    )
}
"""The four costs of this project, in the order in which they are shown."""


BETWEEN = (
    "on the straight line between the last evaluation short of the target and the first that "
    "meets it"
)
"""Where a cost to a target is read that is interpolated, in words."""


def is_better_low(metric: str) -> bool:
    """Return whether smaller values of a metric are better, by the last word of its name."""
    return metric.rsplit("_", 1)[-1] in {"loss", "perplexity", "error", "repetition"}


def mean_ci(
    runs: pd.DataFrame, *, by: str | Sequence[str], value: str, level: float = LEVEL
) -> pd.DataFrame:
    """Per group: mean, half-width of the Student-t interval over seeds, number of seeds n.

    Parameters
    ----------
    runs
        One row a seed and group.
    by
        Grouping column or columns; groups keep their order of appearance.
    value
        Column to average. Its rows are taken as independent (one a seed).
    level
        Confidence level, in (0, 1).

    Returns
    -------
    pandas.DataFrame
        Index ``by``; columns ``mean``, ``half_width`` (NaN when n is 1: no interval exists), ``n``.

    Examples
    --------
    >>> rows = pd.DataFrame({"variant": ["a", "a"], "energy_j": [1.0, 3.0]})
    >>> mean_ci(rows, by="variant", value="energy_j").round(2).to_dict("records")
    [{'mean': 2.0, 'half_width': 12.71, 'n': 2}]
    """
    if not 0.0 < level < 1.0:
        msg = f"level: must be in (0, 1), got {level}"
        raise ValueError(msg)
    keys = [by] if isinstance(by, str) else list(by)
    table = runs.groupby(keys, sort=False)[value].agg(["mean", "std", "count"])
    n = table["count"].to_numpy()
    factor = np.full(n.shape, np.nan)
    many = n >= 2
    factor[many] = student_t.ppf((1.0 + level) / 2.0, n[many] - 1) / np.sqrt(n[many])
    return pd.DataFrame(
        {
            "mean": table["mean"],
            "half_width": factor * table["std"].to_numpy(),
            "n": table["count"].astype("int64"),
        }
    )


def metric_curves(
    evaluations: pd.DataFrame, *, metric: str, split: str, cost: Cost
) -> pd.DataFrame:
    """Metric of every run as a function of one cost.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``seed``, the cost's column, ``value``; sorted by cost within a run.
        Where several evaluations stand at one cost (a method that sends nothing) the last one is
        kept. Empty when the split or metric does not occur.
    """
    rows = evaluations[(evaluations["metric"] == metric) & (evaluations["split"] == split)]
    curves = pd.DataFrame(
        {
            "variant": rows["variant"],
            "seed": rows["seed"],
            cost.column: rows[cost.source] / cost.per_unit,
            "value": rows["mean"],
        }
    )
    return curves.drop_duplicates(["variant", "seed", cost.column], keep="last", ignore_index=True)


Reading = Literal["line", "step"]
"""How a curve is read between two evaluations: on the line that joins them, or as the value of the
model in use, which is that of the earlier one."""


def read_curve(x: Series, values: Series, grid: Series, *, reading: Reading) -> Series:
    """Read one run's curve on a grid; NaN before its first evaluation and after its last one.

    Parameters
    ----------
    x
        Positions of the evaluations, rising; shape ``(point,)``.
    values
        Metric there; shape ``(point,)``.
    grid
        Where to read; shape ``(grid,)``.
    reading
        ``line`` or ``step``.
    """
    inside = (grid >= x[0]) & (grid <= x[-1])
    if reading == "line":
        return np.where(inside, np.interp(grid, x, values), np.nan)
    place = np.searchsorted(x, grid, side="right") - 1
    return np.where(inside, values[np.maximum(place, 0)], np.nan)


def align_seeds(curves: pd.DataFrame, *, x: str, reading: Reading = "step") -> pd.DataFrame:
    """Read the curves of all seeds of a variant on one common grid.

    The grid is every position at which any seed of the variant was evaluated, from where all seeds
    have begun to where the first of them ends, so each point is a mean over the same seeds.

    Parameters
    ----------
    curves
        As :func:`metric_curves` gives it.
    x
        Cost column.
    reading
        Value between two evaluations.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``seed``, ``x``, ``value``.
    """
    parts = []
    for variant, mine in curves.groupby("variant", sort=False):
        runs = [run for _, run in mine.groupby("seed", sort=True)]
        start = max(run[x].iloc[0] for run in runs)
        stop = min(run[x].iloc[-1] for run in runs)
        grid = np.unique(mine[x].to_numpy(dtype=np.float64))
        grid = grid[(grid >= start) & (grid <= stop)]
        for run in runs:
            at, values = (run[name].to_numpy(dtype=np.float64) for name in (x, "value"))
            read = read_curve(at, values, grid, reading=reading)
            seed = run["seed"].iloc[0]
            parts.append(pd.DataFrame({"variant": variant, "seed": seed, x: grid, "value": read}))
    if not parts:
        return curves.iloc[:0]
    return pd.concat(parts, ignore_index=True)


def mean_band(
    curves: pd.DataFrame, *, x: str, reading: Reading = "step", level: float = LEVEL
) -> pd.DataFrame:
    """Mean curve of each variant with its interval over seeds.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``x``, ``mean``, ``half_width`` (NaN for one seed), ``n``.
    """
    aligned = align_seeds(curves, x=x, reading=reading)
    if aligned.empty:
        return pd.DataFrame(columns=["variant", x, "mean", "half_width", "n"])
    return mean_ci(aligned, by=["variant", x], value="value", level=level).reset_index()


def final_values(evaluations: pd.DataFrame) -> pd.DataFrame:
    """Last evaluation of every run, metric and split."""
    keys = ["variant", "seed", "metric", "split"]
    return evaluations.groupby(keys, sort=False).tail(1).reset_index(drop=True)


def to_target(
    evaluations: pd.DataFrame,
    *,
    metric: str,
    split: str,
    target: float,
    interpolate: bool = False,
) -> pd.DataFrame:
    """Cost at which each run first meets a target.

    A run meets it at its first evaluation with a mean at or beyond the target (at or below it for
    losses), so the resolution is the evaluation interval. With ``interpolate`` the cost is read on
    the straight line from the evaluation before, the last one with a value, to that one; a run that
    meets the target at its first evaluation has no line, and the cost of that one.

    Returns
    -------
    pandas.DataFrame
        One row a run that was evaluated on this split: ``variant``, ``seed``, ``is_reached``, one
        column for each of :data:`COSTS`, NaN where the target was not reached, and the same with
        ``_end``: what the run had spent at its last evaluation.
    """
    rows = evaluations[(evaluations["metric"] == metric) & (evaluations["split"] == split)]
    sign = -1.0 if is_better_low(metric) else 1.0
    sources = [cost.source for cost in COSTS.values()]
    found = []
    for (variant, seed), run in rows.groupby(["variant", "seed"], sort=False):
        known = run[run["mean"].notna()]
        is_met = (sign * known["mean"] >= sign * target).to_numpy()
        place = int(is_met.argmax()) if is_met.any() else -1
        row: dict[str, object] = {"variant": variant, "seed": seed, "is_reached": place >= 0}
        at = known[sources].iloc[place] if place >= 0 else pd.Series(np.nan, index=sources)
        if interpolate and place > 0:
            before, after = known["mean"].iloc[[place - 1, place]]
            start = known[sources].iloc[place - 1]
            at = start + (target - before) / (after - before) * (at - start)
        for cost in COSTS.values():
            row[cost.column] = at[cost.source] / cost.per_unit
            row[f"{cost.column}_end"] = run[cost.source].iloc[-1] / cost.per_unit
        found.append(row)
    names = [cost.column for cost in COSTS.values()]
    columns = ["variant", "seed", "is_reached", *names, *(f"{name}_end" for name in names)]
    return pd.DataFrame(found, columns=columns)


def target_summary(reached: pd.DataFrame, *, column: str, level: float = LEVEL) -> pd.DataFrame:
    """Cost to target of each variant over seeds.

    Parameters
    ----------
    reached
        As :func:`to_target` gives it.
    column
        Cost column.
    level
        Confidence level.

    Returns
    -------
    pandas.DataFrame
        Index ``variant``; ``num_reached``, ``n``, ``mean`` and ``half_width`` (both NaN unless
        every run reached the target: a mean over the lucky ones would flatter), ``low`` and
        ``high`` (the extremes among those that did).
    """
    groups = reached.groupby("variant", sort=False)
    table = pd.DataFrame({"num_reached": groups["is_reached"].sum().astype("int64")})
    table["n"] = groups["is_reached"].count().astype("int64")
    spread = mean_ci(reached, by="variant", value=column, level=level)
    is_whole = table["num_reached"] == table["n"]
    table["mean"] = spread["mean"].where(is_whole)
    table["half_width"] = spread["half_width"].where(is_whole)
    table["low"] = groups[column].min()
    table["high"] = groups[column].max()
    return table


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Mean over seeds of first minus second, each pair under one seed (one world)."""

    mean: float
    """NaN without a pair."""
    half_width: float
    """Half-width of the Student-t interval; NaN with fewer than two pairs."""
    n: int
    """Pairs with a value on both sides."""
    p_value: float = float("nan")
    """Of a two-sided paired t test against 0; NaN with fewer than two pairs."""
    effect_size: float = float("nan")
    """Mean over the standard deviation of the differences (Cohen's d of pairs); NaN with fewer than
    two pairs, or where all are equal."""

    @property
    def excludes_zero(self) -> bool:
        """Return whether the interval leaves out 0; never with fewer than two pairs."""
        return bool(abs(self.mean) > self.half_width)


def paired_difference(
    rows: pd.DataFrame, first: str, second: str, *, value: str, level: float = LEVEL
) -> PairedDifference:
    """Compare two variants seed by seed.

    Both met the same positions, channel and data split under one seed, so the difference has less
    variance than either side.

    Parameters
    ----------
    rows
        One row a variant and seed; NaN values form no pair.
    first, second
        Variant names.
    value
        Column to compare.
    level
        Confidence level.
    """
    wide = rows.pivot(index="seed", columns="variant", values=value)  # noqa: PD010
    if first not in wide or second not in wide:
        return PairedDifference(mean=float("nan"), half_width=float("nan"), n=0)
    gaps = (wide[first] - wide[second]).dropna()
    if gaps.empty:
        return PairedDifference(mean=float("nan"), half_width=float("nan"), n=0)
    frame = pd.DataFrame({"pair": 0, "gap": gaps})
    row = mean_ci(frame, by="pair", value="gap", level=level).iloc[0]
    spread = float(gaps.std(ddof=1)) if len(gaps) > 1 else math.nan
    return PairedDifference(
        mean=float(row["mean"]),
        half_width=float(row["half_width"]),
        n=int(row["n"]),
        p_value=_paired_p(gaps, spread),
        effect_size=float(gaps.mean()) / spread if spread > 0 else math.nan,
    )


def _paired_p(gaps: "pd.Series[float]", spread: float) -> float:
    """Return the two-sided p value of a t test of differences against 0."""
    if len(gaps) < 2:
        return math.nan
    mean = float(gaps.mean())
    if spread == 0:
        return 1.0 if mean == 0 else 0.0
    statistic = abs(mean) / (spread / math.sqrt(len(gaps)))
    return float(2.0 * student_t.sf(statistic, len(gaps) - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for how many there are, so that the chance of any false one is bounded.

    Holm, Scandinavian Journal of Statistics 6, 1979 [recollected]: of ``m`` values the i-th
    smallest is multiplied by ``m - i + 1``, and none is below one before it. NaN stays, uncounted.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, float("nan")])
    [0.03, 0.06, 0.06, nan]
    """
    places = [place for place, p_value in enumerate(p_values) if not math.isnan(p_value)]
    places.sort(key=lambda place: p_values[place])
    adjusted, most = [math.nan] * len(p_values), 0.0
    for rank, place in enumerate(places):
        most = max(most, min(1.0, (len(places) - rank) * p_values[place]))
        adjusted[place] = most
    return adjusted
