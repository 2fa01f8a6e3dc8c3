"""The data frames behind the figures; each is also written as CSV beside its figure."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.intervals import drawn_half_width
from analysis.load import Results
from analysis.stats import (
    COSTS,
    Cost,
    mean_band,
    mean_ci,
    metric_curves,
    read_curve,
    target_summary,
    to_target,
)

ACTIVITIES = ("compute", "tx", "rx", "idle", "base")
"""Activities in stacking order; others found in the ledger follow."""

PHASES = ("download", "compute", "upload", "wait")
"""Phases of a round in stacking order."""

REASONS = (
    "late",
    "surplus",
    "left",
    "battery empty",
    "server crashed",
    "dropped",
    "unfinished",
    "abandoned",
)
"""Why participations were in vain, in stacking order."""


def curve_frame(results: Results, *, metric: str, split: str, cost: Cost) -> pd.DataFrame:
    """Mean curve of each variant, then the ends of single seeds that outlast it.

    A run's curve joins its evaluations by straight lines; the mean is taken between these. (Read as
    steps, the interval would flicker wherever one seed is evaluated a moment before another.)

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``series`` (``mean``, or ``seed <k>`` for the rest of that run's curve
        beyond the last point that all seeds reached), the cost's column, ``mean``, ``half_width``,
        ``band`` (half the height of the band that is drawn) and ``n``.
    """
    used = results.used(results.evaluations)
    x = cost.column
    curves = metric_curves(used, metric=metric, split=split, cost=cost)
    band = mean_band(curves, x=x, reading="line")
    parts = [band.assign(series="mean", band=drawn_half_width(band["half_width"], band["n"]))]
    ends = band.groupby("variant", sort=False)[x].max()
    for (variant, seed), run in curves.groupby(["variant", "seed"], sort=False):
        if variant not in ends.index:
            continue
        end = float(ends[str(variant)])
        at, values = (run[name].to_numpy(dtype=np.float64) for name in (x, "value"))
        rest = at > end
        tail_x = np.r_[end, at[rest]]
        tail = np.r_[read_curve(at, values, np.array([end]), reading="line"), values[rest]]
        if rest.any():
            parts.append(
                pd.DataFrame(
                    {
                        "variant": variant,
                        "series": f"seed {seed}",
                        x: tail_x,
                        "mean": tail,
                        "half_width": np.nan,
                        "band": np.nan,
                        "n": 1,
                    }
                )
            )
    columns = ["variant", "series", x, "mean", "half_width", "band", "n"]
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)[columns]


def absent_variants(results: Results, *, metric: str, split: str) -> list[str]:
    """Labels of variants that were run but have no model on this split."""
    rows = results.evaluations
    have = set(rows.loc[(rows["metric"] == metric) & (rows["split"] == split), "variant"])
    ran = set(rows["variant"])
    return [v.label for v in results.variants if v.name in ran and v.name not in have]


def target_frame(
    results: Results, *, metric: str, target: float, splits: Sequence[str]
) -> pd.DataFrame:
    """Cost to target of every run and its summary over seeds, one row a variant, split, cost, seed.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``split``, ``cost`` (column name of the cost), ``seed``, ``value`` (NaN
        when not reached), and of the variant: ``mean``, ``half_width``, ``num_reached``, ``n``.
    """
    used = results.used(results.evaluations)
    parts = []
    for split in splits:
        reached = to_target(
            used, metric=metric, split=split, target=target, interpolate=results.interpolates
        )
        for cost in COSTS.values():
            summary = target_summary(reached, column=cost.column)
            rows = reached[["variant", "seed", cost.column]]
            rows = rows.rename(columns={cost.column: "value"}).assign(split=split, cost=cost.column)
            parts.append(rows.merge(summary, left_on="variant", right_index=True, how="left"))
    columns = [
        "variant",
        "split",
        "cost",
        "seed",
        "value",
        "mean",
        "half_width",
        "num_reached",
        "n",
    ]
    return pd.concat(parts, ignore_index=True)[columns]


def energy_frame(results: Results) -> pd.DataFrame:
    """Joules by owner kind (``client``, ``site``) and activity, mean over seeds of the run's sum.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``owner``, ``part`` (activity), ``mean``, ``half_width``, ``n``, and
        ``total`` and ``total_half_width`` of the variant and owner kind.
    """
    rows = results.used(results.energy)
    rows = rows.assign(owner=rows["owner"].str.split(":").str[0], part=rows["activity"])
    return _stack_frame(rows, group=["variant", "owner"], value="energy_j", order=ACTIVITIES)


def latency_frame(results: Results) -> tuple[pd.DataFrame, bool]:
    """Seconds of a round of the mean client whose update was received, by phase.

    Download, compute and upload are the client's own; ``wait`` is the rest of the round: queueing
    for the start and waiting for slower clients. A client's own time can be longer than the round
    when the server does not wait for it; then there is no such rest.

    Returns
    -------
    frame : pandas.DataFrame
        Columns ``variant``, ``part`` (phase), ``mean``, ``half_width``, ``n``, ``total`` and
        ``total_half_width``.
    has_wait : bool
        False when the rest was left out for that reason.
    """
    rounds = results.used(results.rounds)
    rounds = rounds.assign(round_s=rounds["finished_at_s"] - rounds["started_at_s"])
    rows = results.used(results.clients)
    rows = rows[rows["outcome"] == "received"]
    rows = rows.merge(
        rounds[["variant", "seed", "round", "round_s"]], on=["variant", "seed", "round"]
    )
    phases = ["download", "compute", "upload"]
    rows = rows.rename(columns={f"{phase}_s": phase for phase in phases})
    rows = rows.assign(wait=rows["round_s"] - rows[phases].fillna(0.0).sum(axis=1))
    has_wait = bool((rows["wait"] > -1e-6 * rows["round_s"].clip(lower=1.0)).all())
    if has_wait:
        rows["wait"] = rows["wait"].clip(lower=0.0)
        phases.append("wait")
    a_run = rows.groupby(["variant", "seed"], sort=False)[phases].mean().reset_index()
    long = a_run.melt(["variant", "seed"], var_name="part", value_name="seconds").dropna()
    return _stack_frame(long, group=["variant"], value="seconds", order=PHASES), has_wait


def waste_frame(results: Results) -> pd.DataFrame:
    """Joules of participations whose update was not merged, by reason; mean over seeds.

    Those of questions whose answers did not come, or were of no use, count with them.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``part`` (reason: the first word of the outcome), ``mean``,
        ``half_width``, ``n``, ``total`` and ``total_half_width``; no row where nothing was wasted.
    """
    columns = ["variant", "seed", "outcome", "wasted_j"]
    tables = (results.clients, results.questions)
    rows = pd.concat([results.used(each)[columns] for each in tables], ignore_index=True)
    reason = rows["outcome"].str.partition(":")[0].str.replace("_", " ")
    is_wasted = rows["wasted_j"] > 0
    if is_wasted.any():  # rows of 0 J count for some reason that there is: their run has wasted 0 J
        rows = rows.assign(part=reason.where(is_wasted, reason[is_wasted].iloc[0]))
    else:
        rows = rows.iloc[:0].assign(part="")
    return _stack_frame(rows, group=["variant"], value="wasted_j", order=REASONS)


def _stack_frame(
    rows: pd.DataFrame, *, group: Sequence[str], value: str, order: Sequence[str]
) -> pd.DataFrame:
    """Mean over seeds of each part's sum in a run, with the total; parts in stacking order."""
    keys = list(group)
    found = list(dict.fromkeys(rows["part"]))
    parts = [*(part for part in order if part in found), *sorted(set(found) - set(order))]
    wide = rows.pivot_table(
        index=[*keys, "seed"], columns="part", values=value, aggfunc="sum", sort=False
    )
    wide = wide.fillna(0.0)[parts] if parts else wide
    if wide.empty:
        columns = [*keys, "part", "mean", "half_width", "n", "total", "total_half_width"]
        return pd.DataFrame(columns=columns)
    long = wide.reset_index().melt(
        [*keys, "seed"], value_vars=parts, var_name="part", value_name="v"
    )
    frame = mean_ci(long, by=[*keys, "part"], value="v").reset_index()
    totals = mean_ci(wide.sum(axis=1).rename("v").reset_index(), by=keys, value="v")
    totals = totals.rename(columns={"mean": "total", "half_width": "total_half_width"})
    return frame.merge(totals[["total", "total_half_width"]], left_on=keys, right_index=True)


def round_durations(results: Results) -> pd.DataFrame:
    """Duration of every round of every run: ``variant``, ``seed``, ``duration_s``."""
    rows = results.used(results.rounds)
    rows = rows.assign(duration_s=rows["finished_at_s"] - rows["started_at_s"])
    return rows[["variant", "seed", "duration_s"]]


def transfer_durations(results: Results, *, direction: str) -> pd.DataFrame:
    """Seconds from request to end of every delivered transfer one way."""
    rows = results.used(results.transfers)
    rows = rows[(rows["direction"] == direction) & (rows["status"] == "delivered")]
    rows = rows.assign(duration_s=rows["finished_at_s"] - rows["requested_at_s"])
    return rows[["variant", "seed", "duration_s"]].dropna()


def transfer_sinrs(results: Results, *, direction: str = "uplink") -> pd.DataFrame:
    """Return the mean SINR of every transfer one way that had resource blocks.

    Returns
    -------
    pandas.DataFrame
        ``variant``, ``seed``, ``mean_sinr_db``; empty in networks without signals.
    """
    rows = results.used(results.transfers)
    rows = rows[rows["direction"] == direction]
    if "mean_sinr_db" not in rows:
        rows = rows.iloc[:0].assign(mean_sinr_db=np.nan)
    return rows[["variant", "seed", "mean_sinr_db"]].dropna()


def transfer_rates(results: Results, *, direction: str = "uplink") -> pd.DataFrame:
    """Return the throughput of every delivered transfer one way, from its first block to its end.

    Returns
    -------
    pandas.DataFrame
        ``variant``, ``seed``, ``rate_mbps``.
    """
    rows = results.used(results.transfers)
    rows = rows[(rows["direction"] == direction) & (rows["status"] == "delivered")]
    seconds = rows["finished_at_s"] - rows["started_at_s"]
    rows = rows.assign(rate_mbps=8e-6 * rows["size_bytes"] / seconds.where(seconds > 0.0))
    return rows[["variant", "seed", "rate_mbps"]].dropna()


def cdf_frame(durations: pd.DataFrame, *, column: str = "duration_s") -> pd.DataFrame:
    """Empirical distribution of each variant, all seeds pooled.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``column`` (rising), ``share`` (of values at or below, in (0, 1]),
        ``n`` (values).
    """
    parts = []
    for variant, rows in durations.groupby("variant", sort=False):
        values, counts = np.unique(rows[column].to_numpy(dtype=np.float64), return_counts=True)
        share = np.cumsum(counts) / counts.sum()
        parts.append(
            pd.DataFrame({"variant": variant, column: values, "share": share, "n": counts.sum()})
        )
    if not parts:
        return pd.DataFrame(columns=["variant", column, "share", "n"])
    return pd.concat(parts, ignore_index=True)
