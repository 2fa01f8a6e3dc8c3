"""What runs cost in all: tables and differences for studies in which nothing was trained."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from analysis.errors import ResultError
from analysis.load import Results
from analysis.manifest import Variant
from analysis.rivals import rival_pairs
from analysis.series import energy_frame
from analysis.stats import LEVEL, paired_difference
from analysis.tables import Table, cost_column, interval_note, mean_table, wasted_runs
from analysis.text_safety import file_name
from analysis.units import axis_label, display_unit, with_interval

TIMING_ONLY = "timing only: nothing was trained"
"""What every answer about such a study says."""

TOTALS = ("at_s", "energy_j", "wasted_j", "site_energy_j", "uplink_mb", "downlink_mb", "relayed_mb")
"""Costs of a run, in the order in which they are shown."""

_KEYS = ["variant", "seed"]


def run_totals(results: Results) -> pd.DataFrame:
    """Return what every run cost up to its last round.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``seed`` and those of :data:`TOTALS`: simulated time at the end, joules
        of clients, of these wasted (also on what the end of the run stopped), joules of sites, and
        bytes in millions. Folders of older versions do not tell what sites and server exchange: 0.
    """
    rounds = results.used(results.rounds)
    if "relayed_bytes" not in rounds:
        rounds = rounds.assign(relayed_bytes=0)
    groups = rounds.groupby(_KEYS, sort=False)
    ends = groups[["finished_at_s", "energy_j", "site_energy_j"]].last()
    sums = groups[[f"{way}_bytes" for way in ("uplink", "downlink", "relayed")]].sum() / 1e6
    totals = ends.join(sums).reset_index()
    totals = totals.rename(
        columns={"finished_at_s": "at_s"}
        | {f"{way}_bytes": f"{way}_mb" for way in ("uplink", "downlink", "relayed")}
    )
    totals = totals.merge(wasted_runs(results), on=_KEYS, how="left").fillna({"wasted_j": 0.0})
    return totals[[*_KEYS, *TOTALS]]


def total_tables(results: Results) -> tuple[Table, ...]:
    """Return the summary of costs and, where the ledger has rows, energy by activity."""
    energy = energy_frame(results)
    tables = [total_table(results)]
    return (*tables, energy_table(results, energy)) if len(energy) else tuple(tables)


def total_table(results: Results) -> Table:
    """Return what whole runs cost, one row a variant, means over seeds."""
    runs = run_totals(results)
    shown = [name for name in TOTALS if name != "relayed_mb" or runs[name].any()]
    return mean_table(
        results,
        {name: cost_column(runs, name) for name in shown},
        runs.groupby("variant", sort=False).size(),
        title="Total costs",
        notes=(_sentence(),),
    )


def energy_table(results: Results, frame: pd.DataFrame) -> Table:
    """Return joules of clients and sites by activity, one row a variant and kind of owner.

    Parameters
    ----------
    results
        The study.
    frame
        From :func:`analysis.series.energy_frame`.
    """
    parts = list(dict.fromkeys(frame["part"]))
    text = []
    for owner in dict.fromkeys(frame["owner"]):
        rows = frame[frame["owner"] == owner]
        unit = display_unit("energy_j", float(rows["total"].max()))
        spent = set(rows.loc[rows["mean"] > 0, "part"])
        for variant in results.variants:
            own = rows[rows["variant"] == variant.name].set_index("part")
            if own.empty:
                continue
            scaled = own[["mean", "half_width", "total", "total_half_width"]] / unit.scale
            means = {part: (row["mean"], row["half_width"]) for part, row in scaled.iterrows()}
            first = scaled.iloc[0]
            text.append(
                {
                    "variant": variant.label,
                    "energy of": f"{owner}s [{unit.symbol}]",
                    "all": with_interval(
                        first["total"], first["total_half_width"], support="positive"
                    ),
                    **{
                        each: with_interval(*means[each], support="positive")
                        if each in spent
                        else "-"
                        for each in parts
                    },
                }
            )
    return Table(
        name="energy",
        title="Energy by activity",
        numbers=frame,
        text=pd.DataFrame(text),
        notes=(
            interval_note(int(frame["n"].min())),
            "Sum over all clients, and over all sites, of whole runs.",
        ),
    )


def total_differences(
    results: Results, *, baseline: str | None, by: str | None = None, level: float = LEVEL
) -> Table:
    """Compare what whole runs cost with a baseline, differences paired by seed.

    Parameters
    ----------
    results
        A study in which nothing was trained.
    baseline, by
        Which variants: as :func:`analysis.rivals.rival_pairs` takes them.
    level
        Confidence level of one interval. It is not widened for the number of comparisons.

    Returns
    -------
    Table
        ``numbers``: ``variant``, ``baseline``, ``cost``, ``difference`` (variant minus baseline),
        ``half_width``, ``num_pairs``, ``verdict`` (``less``, ``more`` or empty where the interval
        holds 0).

    Raises
    ------
    ResultError
        No such variant or method, or nothing beside it.
    """
    runs = run_totals(results)
    try:
        pairs = rival_pairs(results, by=by, baseline=baseline)
    except ResultError as error:
        where, _, rule = str(error).partition(": ")
        msg = f"{where}: {TIMING_ONLY}; {rule}"
        raise ResultError(msg) from None
    numbers = [
        row for variant, rival in pairs for row in _differences(runs, variant, rival, level=level)
    ]
    told = "the other" if baseline is None else baseline
    return Table(
        name=file_name(f"differences_{baseline or by or 'all'}"),
        title=f"Total costs minus those of {told}, paired by seed",
        numbers=pd.DataFrame(numbers),
        text=pd.DataFrame(_text(numbers, results.labels)),
        notes=(
            _sentence(),
            f"Mean over seeds of variant minus {told} ± {100 * level:g} % Student-t "
            "half-width; * marks intervals that leave out 0.",
            f"{len(numbers)} comparisons; the intervals are not widened for their number.",
        ),
    )


def _differences(
    runs: pd.DataFrame, variant: Variant, rival: Variant, *, level: float
) -> Iterator[dict[str, Any]]:
    for cost in TOTALS:
        if not runs[cost].any():
            continue
        gap = paired_difference(runs, variant.name, rival.name, value=cost, level=level)
        if gap.n:
            yield {
                "variant": variant.name,
                "baseline": rival.name,
                "cost": cost,
                "difference": gap.mean,
                "half_width": gap.half_width,
                "num_pairs": gap.n,
                "verdict": ("less" if gap.mean < 0 else "more") if gap.excludes_zero else "",
            }


def _text(numbers: list[dict[str, Any]], labels: dict[str, str]) -> Iterator[dict[str, str]]:
    """Write one row a variant, one column a cost."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    heads = dict.fromkeys(axis_label(row["cost"]) for row in numbers)
    for row in numbers:
        mark = " *" if row["verdict"] else ""
        shown = with_interval(row["difference"], row["half_width"])
        pair = row["variant"], row["baseline"]
        cells.setdefault(pair, {})[axis_label(row["cost"])] = f"{shown}{mark}"
    has_several = len({rival for _, rival in cells}) > 1
    for (variant, rival), own in cells.items():
        told = {"minus": labels[rival]} if has_several else {}
        yield {"variant": labels[variant], **told, **{head: own.get(head, "") for head in heads}}


def _sentence() -> str:
    return f"{TIMING_ONLY[0].upper()}{TIMING_ONLY[1:]}, so no metric is measured."
