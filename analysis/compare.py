"""Which variant gets to a target with less: differences paired by seed, with their intervals."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.censored import restricted_difference
from analysis.errors import ResultError
from analysis.load import Results
from analysis.rivals import rival_pairs
from analysis.stats import (
    BETWEEN,
    COSTS,
    LEVEL,
    Cost,
    PairedDifference,
    holm,
    target_summary,
    to_target,
)
from analysis.tables import Table, followed_splits, metrics_of, target_name
from analysis.text_safety import file_name
from analysis.totals import TIMING_ONLY
from analysis.units import axis_label, probability, with_interval, with_unit

COMPARED = ("seconds", "joules", "uplink")
"""Costs that are compared."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two variants: how many of its seeds reached the target."""

    name: str
    label: str
    num_reached: int
    n: int


def compare(
    results: Results,
    *,
    metric: str,
    target: float,
    baseline: str | None = None,
    by: str | None = None,
    level: float = LEVEL,
) -> Table:
    """Compare variants pair by pair in what they spent until they met a target.

    Under one seed all variants meet the same world, so each seed gives one difference; the mean of
    these has a Student-t interval. A winner is named only where that leaves out 0. Where some seeds
    did not reach the target, the difference is that of restricted means: such a seed counts with
    the horizon, the least that a seed of the two variants spent without reaching the target. Where
    one variant never reached it nobody wins: how much more it needs is not known.

    Parameters
    ----------
    results
        A loaded result folder.
    metric, target
        What has to be reached.
    baseline, by
        Which variants: as :func:`analysis.rivals.rival_pairs` takes them.
    level
        Confidence level of one interval. It is not widened for the number of comparisons, which the
        notes state; ``p_holm`` is adjusted for it.

    Returns
    -------
    Table
        ``numbers``: ``split``, ``first``, ``second``, ``cost``, ``difference`` (first minus second,
        in the cost's unit), ``half_width``, ``num_pairs``, ``effect_size`` (mean over standard
        deviation of the differences), ``p_value`` and ``p_holm`` (of a paired t test, alone and for
        all rows), ``num_reached_first``, ``n_first``, ``num_reached_second``, ``n_second``,
        ``horizon`` (NaN where every seed of both reached it), ``winner`` (variant name or empty),
        ``verdict``.

    Raises
    ------
    ResultError
        The metric or baseline does not occur, or there are not two variants to compare.
    """
    _check_metric(results, metric)
    pairs = rival_pairs(results, by=by, baseline=baseline)
    used = results.used(results.evaluations)
    numbers: list[dict[str, Any]] = []
    for split in followed_splits(results, metric):
        reached = to_target(
            used, metric=metric, split=split, target=target, interpolate=results.interpolates
        )
        counts = target_summary(reached, column="at_s").to_dict("index")
        for first, second in pairs:
            if first.name in counts and second.name in counts:
                sides = tuple(_side(results, counts, each.name) for each in (first, second))
                for key in COMPARED:
                    gap, horizon = restricted_difference(
                        reached, first.name, second.name, column=COSTS[key].column, level=level
                    )
                    numbers.append(_row(split, sides, COSTS[key], gap, horizon))
    if not numbers:
        msg = f"{results.folder}: no two variants have {metric} on the same kind of model"
        raise ResultError(msg)
    for row, adjusted in zip(numbers, holm([row["p_value"] for row in numbers]), strict=True):
        row["p_holm"] = adjusted
    return Table(
        name=file_name(f"compare_{metric}_{target:g}"),
        title=f"Cost to {target_name(metric, target)}, differences paired by seed",
        numbers=pd.DataFrame(numbers),
        text=pd.DataFrame([_text(row, results.labels) for row in numbers]),
        notes=(
            f"Difference: first minus second, mean over pairs ± {100 * level:g} % Student-t "
            "half-width; a pair is a seed. One that did not reach the target counts with the least "
            "that such a seed of the two variants spent (restricted means).",
            f"{len(numbers)} comparisons; the intervals are not widened for their number. p: of a "
            "paired t test, adjusted for all rows by Holm's method.",
            *((f"Costs are {BETWEEN}.",) if results.interpolates else ()),
            *((f"Costs {results.cost_label}.",) if results.cost_label else ()),
        ),
    )


def _check_metric(results: Results, metric: str) -> None:
    known = metrics_of(results)
    if results.is_timing_only:
        msg = f"{results.folder}: {TIMING_ONLY}, so no {metric}; total costs: --baseline VARIANT"
        raise ResultError(msg)
    if metric not in known:
        msg = f"{results.folder}: no metric {metric!r}; evaluated were {', '.join(known)}"
        raise ResultError(msg)


def _side(results: Results, counts: Mapping[Hashable, Mapping[Hashable, Any]], name: str) -> _Side:
    row = counts[name]
    return _Side(name, results.labels[name], int(row["num_reached"]), int(row["n"]))


def _row(
    split: str, sides: tuple[_Side, ...], cost: Cost, gap: PairedDifference, horizon: float
) -> dict[str, Any]:
    first, second = sides
    up_to = f" up to {with_unit(cost.column, horizon)}" if math.isfinite(horizon) else ""
    winner, verdict = _verdict(first, second, gap, up_to=up_to)
    return {
        "split": split,
        "first": first.name,
        "second": second.name,
        "cost": cost.column,
        "difference": gap.mean,
        "half_width": gap.half_width,
        "num_pairs": gap.n,
        "effect_size": gap.effect_size,
        "p_value": gap.p_value,
        "p_holm": math.nan,
        "num_reached_first": first.num_reached,
        "n_first": first.n,
        "num_reached_second": second.num_reached,
        "n_second": second.n,
        "horizon": horizon if math.isfinite(horizon) else math.nan,
        "winner": winner,
        "verdict": verdict,
    }


def _verdict(first: _Side, second: _Side, gap: PairedDifference, *, up_to: str) -> tuple[str, str]:
    """Name the winner (or nobody) and say why in words; ``up_to`` names the horizon, if any."""
    if first.num_reached == second.num_reached == 0:
        return "", "neither reached it"
    for one, other in ((first, second), (second, first)):
        if one.num_reached == one.n and other.num_reached == 0:
            return "", f"only {one.label} reached it"
    is_partial = first.num_reached < first.n or second.num_reached < second.n
    is_decided = gap.n >= 2 and gap.excludes_zero and first.num_reached and second.num_reached
    if is_partial and not is_decided:
        counts = (f"{side.label} {side.num_reached} of {side.n}" for side in (first, second))
        return "", f"open: reached by {', '.join(counts)}"
    if gap.n < 2:
        return "", "one pair: no interval" if gap.n else "no seed in common"
    if not gap.excludes_zero:
        return "", "no difference shown"
    winner = first if gap.mean < 0 else second
    return winner.name, f"{winner.label} needs less{up_to}"


def _text(row: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str]:
    gap = with_interval(row["difference"], row["half_width"])
    return {
        "model": row["split"],
        "first": labels[row["first"]],
        "second": labels[row["second"]],
        "cost": axis_label(row["cost"]),
        "first - second": gap if math.isnan(row["difference"]) or gap[0] == "-" else f"+{gap}",
        "pairs": str(row["num_pairs"]),
        "p": probability(row["p_holm"]),
        "verdict": row["verdict"],
    }
