"""How far each method ends from a baseline: final metrics, differences paired by seed."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from analysis.errors import ResultError
from analysis.load import Results
from analysis.manifest import Variant
from analysis.rivals import rival_pairs
from analysis.stats import LEVEL, final_values, holm, is_better_low, paired_difference
from analysis.tables import Table, metrics_of, splits_of
from analysis.text_safety import file_name
from analysis.units import with_interval

SUMMARIES = {"mean": "", "worst10": " worst 10 %"}
"""Columns of an evaluation that are compared, and how their names end."""


def final_differences(
    results: Results, *, baseline: str | None, by: str | None = None, level: float = LEVEL
) -> Table:
    """Compare the last evaluation of every variant with that of a baseline in the same setting.

    Parameters
    ----------
    results
        A study.
    baseline, by
        Which variants: as :func:`analysis.rivals.rival_pairs` takes them.
    level
        Confidence level of one interval. It is not widened for the number of comparisons.

    Returns
    -------
    Table
        ``numbers``: ``variant``, ``baseline``, ``metric``, ``split``, ``summary`` (``mean`` or
        ``worst10``), ``difference`` (variant minus baseline), ``half_width``, ``num_pairs``,
        ``effect_size``, ``p_value`` and ``p_holm`` (of a paired t test, alone and for all rows),
        ``verdict`` (``better``, ``worse`` or empty where the interval holds 0).

    Raises
    ------
    ResultError
        No such method or value, or nothing beside it.
    """
    final = final_values(results.used(results.evaluations))
    numbers = [
        row
        for variant, rival in rival_pairs(results, by=by, baseline=baseline)
        for row in _rows(results, final, variant, rival, level=level)
    ]
    if not numbers:
        msg = f"{results.folder}: nothing to compare with {baseline}"
        raise ResultError(msg)
    for row, adjusted in zip(numbers, holm([row["p_value"] for row in numbers]), strict=True):
        row["p_holm"] = adjusted
    told = "the other" if baseline is None else baseline
    return Table(
        name=file_name(f"differences_{baseline or by or 'all'}"),
        title=f"Final metrics minus those of {told}, paired by seed",
        numbers=pd.DataFrame(numbers),
        text=pd.DataFrame(_text(numbers, results.labels, level=level)),
        notes=(
            f"Mean over seeds of variant minus {told} in the same setting ± {100 * level:g} % "
            "Student-t half-width; * marks intervals that leave out 0.",
            f"{len(numbers)} comparisons; the intervals are not widened for their number. ** marks "
            f"those whose p of a paired t test stays below {1 - level:.2g} when it is adjusted for "
            "all of them by Holm's method.",
        ),
    )


def _rows(
    results: Results, final: pd.DataFrame, variant: Variant, rival: Variant, *, level: float
) -> Iterator[dict[str, Any]]:
    for metric in metrics_of(results):
        sign = -1 if is_better_low(metric) else 1
        for split in splits_of(results, metric):
            rows = final[(final["metric"] == metric) & (final["split"] == split)]
            for summary in SUMMARIES if split == "personal" else ["mean"]:
                gap = paired_difference(rows, variant.name, rival.name, value=summary, level=level)
                if gap.n == 0:
                    continue
                verdict = "better" if sign * gap.mean > 0 else "worse"
                yield {
                    "variant": variant.name,
                    "baseline": rival.name,
                    "metric": metric,
                    "split": split,
                    "summary": summary,
                    "difference": gap.mean,
                    "half_width": gap.half_width,
                    "num_pairs": gap.n,
                    "effect_size": gap.effect_size,
                    "p_value": gap.p_value,
                    "p_holm": math.nan,
                    "verdict": verdict if gap.excludes_zero else "",
                }


def _text(
    numbers: list[dict[str, Any]], labels: Mapping[str, str], *, level: float
) -> Iterator[dict[str, str]]:
    """Write one row a pair, one column a metric; the second of a pair is told where it differs."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    heads: dict[str, None] = {}
    for row in numbers:
        head = f"{row['metric']} {row['split']}{SUMMARIES[row['summary']]}"
        heads[head] = None
        mark = f" {'**' if row['p_holm'] < 1 - level else '*'}" if row["verdict"] else ""
        shown = with_interval(row["difference"], row["half_width"], decimals=3)
        cells.setdefault((row["variant"], row["baseline"]), {})[head] = f"{shown}{mark}"
    has_several = len({rival for _, rival in cells}) > 1
    for (variant, rival), own in cells.items():
        told = {"minus": labels[rival]} if has_several else {}
        yield {"variant": labels[variant], **told, **{head: own.get(head, "") for head in heads}}
