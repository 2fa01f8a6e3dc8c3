"""Tables of a study: numbers in a data frame, and the same as text for every outlet.

A table keeps raw numbers (for CSV and further work) and the text of its cells (for Markdown, LaTeX,
HTML and the terminal) side by side, so all of :mod:`analysis.outlets` say the same.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.censored import horizon_of, restricted_summary
from analysis.intervals import Support, support_of
from analysis.load import Results
from analysis.stats import (
    BETWEEN,
    COSTS,
    Cost,
    final_values,
    is_better_low,
    mean_ci,
    target_summary,
    to_target,
)
from analysis.text_safety import file_name
from analysis.units import axis_label, display_unit, with_interval, with_unit

SPLITS = ("global", "personal", "finetuned")
"""Order in which splits are shown."""

Row = Mapping[Hashable, Any]
"""One row of a data frame, by column."""

_TARGET_PARTS = (
    *("mean", "half_width", "low", "high"),
    *("restricted_mean", "restricted_half_width", "horizon"),
)
_TOTALS = ("at_s", "energy_j", "site_energy_j", "uplink_mb")


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table: ``numbers`` and ``text`` have the same rows, in the same order."""

    name: str
    """File name without ending."""
    title: str
    numbers: pd.DataFrame
    """Raw values, one column a quantity, units in the names."""
    text: pd.DataFrame
    """Cells and heads as they are printed."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MeanColumn:
    """One column of means over seeds, and how it is written."""

    head: str
    means: pd.DataFrame
    decimals: int | None = None
    scale: float = 1.0
    support: Support = "positive"


def metrics_of(results: Results) -> list[str]:
    """Metrics of the study, those with a target first, then in the order in which they appear."""
    seen = list(dict.fromkeys(results.evaluations["metric"]))
    return sorted(seen, key=lambda metric: metric not in results.targets)


def splits_of(results: Results, metric: str) -> list[str]:
    """List the splits on which any run was evaluated with this metric, ``global`` first."""
    rows = results.evaluations[results.evaluations["metric"] == metric]
    return [split for split in SPLITS if (rows["split"] == split).any()]


def followed_splits(results: Results, metric: str) -> list[str]:
    """List the splits that some run has measured in two rounds or more: those with a curve.

    What is measured once, at the end, does not say when a target was reached.
    """
    rows = results.evaluations[results.evaluations["metric"] == metric]
    rounds = rows.groupby(["split", "variant", "seed"])["round"].nunique().groupby("split").max()
    return [split for split in splits_of(results, metric) if rounds[split] > 1]


def summary_table(results: Results) -> Table:
    """Return the final metric and what the whole run cost, one row a variant.

    Every cell is a mean over seeds with the half-width of its 95 % Student-t interval; ``n`` is the
    number of seeds. A split on which a variant has no model stays empty.
    """
    final = final_values(results.used(results.evaluations))
    final = final.assign(uplink_mb=final["uplink_bytes"] / 1e6)
    columns: dict[str, MeanColumn] = {}
    for metric in metrics_of(results):
        support = support_of(metric)
        for split in splits_of(results, metric):
            rows = final[(final["metric"] == metric) & (final["split"] == split)]
            columns[f"{metric}_{split}"] = MeanColumn(
                f"{metric} {split}", _means(rows, "mean"), decimals=3, support=support
            )
            if split == "personal":
                name = f"{metric}_{split}_worst10"
                columns[name] = MeanColumn(
                    f"{metric} worst 10 %",
                    _means(rows, "worst10"),
                    decimals=3,
                    support=support,
                )
    ends = final.drop_duplicates(["variant", "seed"], keep="last")
    columns |= {total: cost_column(ends, total) for total in _TOTALS}
    wasted = wasted_runs(results)
    if (wasted["wasted_j"] > 0).any():
        columns["wasted_j"] = cost_column(wasted, "wasted_j")
    return mean_table(
        results, columns, _means(ends, "at_s")["n"], title="Final metrics and total costs"
    )


def wasted_runs(results: Results) -> pd.DataFrame:
    """Return the wasted joules of every run: ``variant``, ``seed``, ``wasted_j``.

    Participations that the end of a run stopped count, which no round does.
    """
    keys = ["variant", "seed"]
    parts = [
        results.used(rows)[[*keys, "wasted_j"]] for rows in (results.clients, results.questions)
    ]
    return pd.concat(parts).groupby(keys, sort=False)["wasted_j"].sum().reset_index()


def _wasted_note(results: Results, columns: Mapping[str, object]) -> tuple[str, ...]:
    note = "Wasted energy is the part of client energy whose updates were not merged"
    also = ", and of questions without use" if len(results.questions) else ""
    return (f"{note}{also}.",) if "wasted_j" in columns else ()


def cost_column(runs: pd.DataFrame, name: str) -> MeanColumn:
    """Return the means of a cost, in the unit that fits the largest; one row a run."""
    means = _means(runs, name)
    unit = display_unit(name, float(means["mean"].max()))
    return MeanColumn(axis_label(name, unit=unit.symbol), means, scale=unit.scale)


def _means(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    return mean_ci(rows, by="variant", value=value)


def mean_table(
    results: Results,
    columns: Mapping[str, MeanColumn],
    counts: "pd.Series[int]",
    *,
    title: str,
    notes: Sequence[str] = (),
) -> Table:
    """Return the table ``summary``: one row a variant, one cell a mean over seeds.

    Parameters
    ----------
    results
        The study.
    columns
        By the column's name in ``numbers``.
    counts
        Seeds of each variant; one that is not among them has no row.
    title
        Of the table.
    notes
        Before those on intervals and energy.
    """
    numbers, text = mean_rows(results, columns, counts)
    return Table(
        name="summary",
        title=title,
        numbers=numbers,
        text=text,
        notes=(
            *notes,
            interval_note(int(counts.min())),
            "Client energy is radio and computing of all clients; site energy stands apart.",
            *_wasted_note(results, columns),
            *_label_note(results),
        ),
    )


def mean_rows(
    results: Results, columns: Mapping[str, MeanColumn], counts: "pd.Series[int]"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return numbers and cells of means, one row a variant; arguments as :func:`mean_table`."""
    numbers, text = [], []
    for variant in results.variants:
        if variant.name not in counts.index:
            continue
        n = int(counts[variant.name])
        values: dict[str, object] = {"variant": variant.name, "n": n}
        cells: dict[str, object] = {"variant": variant.label, "n": str(n)}
        for name, column in columns.items():
            row = column.means.to_dict("index").get(variant.name, {})
            mean, half = row.get("mean", math.nan), row.get("half_width", math.nan)
            values |= {f"{name}_mean": mean, f"{name}_half_width": half}
            cells[column.head] = with_interval(
                mean / column.scale,
                half / column.scale,
                decimals=column.decimals,
                support=column.support,
            )
        numbers.append(values)
        text.append(cells)
    return pd.DataFrame(numbers), pd.DataFrame(text)


def interval_note(smallest_n: int) -> str:
    """Sentence that says what the intervals of a table or figure are."""
    if smallest_n < 2:
        return "Mean over n seeds ± 95 % Student-t half-width; one seed has no interval."
    ends = "in brackets its ends, where that would leave the values that a quantity can have"
    return f"Mean over n seeds ± 95 % Student-t half-width; {ends}."


def _label_note(results: Results) -> tuple[str, ...]:
    return (f"Costs {results.cost_label}.",) if results.cost_label else ()


def target_name(metric: str, target: float) -> str:
    """Return a target as text: ``accuracy ≥ 0.8``."""
    return f"{metric} {'≤' if is_better_low(metric) else '≥'} {target:g}"


def target_table(results: Results, *, metric: str, target: float) -> Table:
    """Return the cost at which each variant first met a target, one row a variant and split.

    ``reached`` counts the seeds that got there. Where all did the cell holds the mean; where some
    did the restricted mean, up to the horizon that all variants of the split have in common, marked
    by ``*`` (``>`` the horizon where none got there before it); else ``not reached``. ``numbers``
    hold the restricted means of all variants.
    """
    used = results.used(results.evaluations)
    numbers: list[dict[str, object]] = []
    text: list[tuple[str, str, Mapping[str, Row]]] = []
    remarks: list[str] = []
    for split in followed_splits(results, metric):
        reached = to_target(
            used, metric=metric, split=split, target=target, interpolate=results.interpolates
        )
        tables = {key: _by_variant(reached, cost) for key, cost in COSTS.items()}
        remarks += _horizon_notes(reached, split)
        for variant in results.variants:
            if variant.name in tables["seconds"]:
                rows = {key: table[variant.name] for key, table in tables.items()}
                numbers.append(_target_numbers(variant.name, split, rows))
                text.append((variant.label, split, rows))
    return Table(
        name=file_name(f"to_{metric}_{target:g}"),
        title=f"Cost to {target_name(metric, target)}",
        numbers=pd.DataFrame(numbers),
        text=_target_text(text),
        notes=(
            f"{_where_met(results)}: mean over seeds ± 95 % half-width.",
            *remarks,
            *_label_note(results),
        ),
    )


def _where_met(results: Results) -> str:
    if results.interpolates:
        return f"Costs to the target {BETWEEN}"
    return "First evaluation that meets the target"


def _by_variant(reached: pd.DataFrame, cost: Cost) -> Mapping[Hashable, Row]:
    summary = target_summary(reached, column=cost.column)
    return summary.join(restricted_summary(reached, column=cost.column)).to_dict("index")


def _horizon_notes(reached: pd.DataFrame, split: str) -> list[str]:
    """Say what restricted means of a split are restricted to; nothing where it has none."""
    counts = reached.groupby("variant")["is_reached"].agg(["sum", "count"])
    if not ((counts["sum"] > 0) & (counts["sum"] < counts["count"])).any():
        return []
    horizons = [
        with_unit(cost.column, horizon_of(reached, column=cost.column))
        for cost in COSTS.values()
        if math.isfinite(horizon_of(reached, column=cost.column))
    ]
    return [
        f"*, {split}: restricted mean. A seed that did not reach the target counts with the "
        f"horizon, the least that such a seed spent: {', '.join(horizons)}."
    ]


def _target_numbers(variant: str, split: str, rows: Mapping[str, Row]) -> dict[str, object]:
    first = rows["seconds"]
    values: dict[str, object] = {
        "variant": variant,
        "split": split,
        "num_reached": int(first["num_reached"]),
        "n": int(first["n"]),
    }
    for key, row in rows.items():
        for part in _TARGET_PARTS:
            values[f"{COSTS[key].column}_{part}"] = float(row[part])
    return values


def _target_text(rows: Sequence[tuple[str, str, Mapping[str, Row]]]) -> pd.DataFrame:
    """Write the cells, each cost in the unit that fits its largest value."""
    units = {
        key: display_unit(
            cost.column, max((parts[key]["high"] for *_, parts in rows), key=_or_zero, default=0.0)
        )
        for key, cost in COSTS.items()
    }
    text = []
    for label, split, parts in rows:
        first = parts["seconds"]
        cells = {
            "variant": label,
            "model": split,
            "reached": f"{first['num_reached']} of {first['n']}",
        }
        for key, row in parts.items():
            head = axis_label(COSTS[key].column, unit=units[key].symbol)
            cells[head] = target_cell(row, units[key].scale)
        text.append(cells)
    return pd.DataFrame(text)


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def target_cell(row: Row, scale: float) -> str:
    """Write a row of :func:`analysis.stats.target_summary`.

    The mean where all got there; where some did the restricted mean with a ``*`` where the row has
    one, else the range of those that did.
    """
    if row["num_reached"] == 0:
        return "not reached"
    if row["num_reached"] == row["n"]:
        return with_interval(row["mean"] / scale, row["half_width"] / scale, support="positive")
    if row.get("restricted_mean", math.nan) >= row.get("horizon", math.inf):
        return f"> {with_interval(row['horizon'] / scale, math.nan)} *"
    if not math.isnan(row.get("restricted_mean", math.nan)):
        restricted = (row[f"restricted_{part}"] / scale for part in ("mean", "half_width"))
        return f"{with_interval(*restricted, support='positive')} *"
    low, high = (with_interval(row[end] / scale, math.nan) for end in ("low", "high"))
    return low if row["num_reached"] == 1 else f"{low} to {high}"


def runs_table(results: Results) -> Table:
    """List every run with its status, simulated time and host time."""
    labels = results.labels
    runs = results.runs
    text = pd.DataFrame(
        {
            "variant": runs["variant"].map(labels),
            "seed": runs["seed"].astype(str),
            "status": runs["status"],
            "rounds": runs["num_rounds"].astype(str),
            "simulated time [s]": [_plain(v) for v in runs["simulated_s"]],
            "host time [s]": [_plain(v) for v in runs["host_total_s"]],
            "of which training [s]": [_plain(v) for v in runs["host_train_s"]],
        }
    )
    return Table(
        name="runs",
        title="Runs",
        numbers=runs,
        text=text,
        notes=("Simulated time is the network's clock; host time is this machine's.",),
    )


def _plain(value: float) -> str:
    return with_interval(float(value), float("nan"))
