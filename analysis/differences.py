"""How far each method ends from a baseline: final metrics, differences paired by seed."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from analysis.errors import ResultError
from analysis.load import Results
from analysis.manifest import Variant
from analysis.stats import LEVEL, final_values, is_better_low, paired_difference
from analysis.tables import Table, metrics_of, splits_of
from analysis.text_safety import file_name
from analysis.units import with_interval

SUMMARIES = {"mean": "", "worst10": " worst 10 %"}
"""Columns of an evaluation that are compared, and how their names end."""


def final_differences(results: Results, *, baseline: str, level: float = LEVEL) -> Table:
    """Compare the last evaluation of every variant with that of a baseline in the same setting.

    Parameters
    ----------
    results
        A study.
    baseline
        Name of a method in the study: its kind or label. Each variant is compared with the variant
        of this method that has the same value of every knob.
    level
        Confidence level of one interval. It is not widened for the number of comparisons.

    Returns
    -------
    Table
        ``numbers``: ``variant``, ``baseline``, ``metric``, ``split``, ``summary`` (``mean`` or
        ``worst10``), ``difference`` (variant minus baseline), ``half_width``, ``num_pairs``,
        ``verdict`` (``better``, ``worse`` or empty where the interval holds 0).

    Raises
    ------
    ResultError
        No such method, or nothing beside it.
    """
    known = {_method_name(variant) for variant in results.variants}
    if baseline not in known:
        msg = f"{results.folder}: no method {baseline!r}; there are {', '.join(sorted(known))}"
        raise ResultError(msg)
    rivals = {
        _setting(variant): variant
        for variant in results.variants
        if _method_name(variant) == baseline
    }
    final = final_values(results.used(results.evaluations))
    numbers = [
        row
        for variant in results.variants
        if (rival := rivals.get(_setting(variant))) is not None and rival is not variant
        for row in _rows(results, final, variant, rival, level=level)
    ]
    if not numbers:
        msg = f"{results.folder}: nothing to compare with {baseline}"
        raise ResultError(msg)
    return Table(
        name=file_name(f"differences_{baseline}"),
        title=f"Final metrics minus those of {baseline}, paired by seed",
        numbers=pd.DataFrame(numbers),
        text=pd.DataFrame(_text(numbers, results.labels)),
        notes=(
            f"Mean over seeds of variant minus {baseline} in the same setting ± {100 * level:g} % "
            "Student-t half-width; * marks intervals that leave out 0.",
            f"{len(numbers)} comparisons; the intervals are not widened for their number.",
        ),
    )


def _method_name(variant: Variant) -> str:
    """Name a variant without its knobs, as the study names its methods."""
    return variant.name.partition("--")[0]


def _setting(variant: Variant) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((knob, repr(value)) for knob, value in variant.knobs.items()))


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
                    "verdict": verdict if gap.excludes_zero else "",
                }


def _text(numbers: list[dict[str, Any]], labels: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Write one row a variant, one column a metric."""
    cells: dict[str, dict[str, str]] = {}
    heads: dict[str, None] = {}
    for row in numbers:
        head = f"{row['metric']} {row['split']}{SUMMARIES[row['summary']]}"
        heads[head] = None
        mark = " *" if row["verdict"] else ""
        shown = with_interval(row["difference"], row["half_width"], decimals=3)
        cells.setdefault(row["variant"], {})[head] = f"{shown}{mark}"
    for variant, own in cells.items():
        yield {"variant": labels[variant], **{head: own.get(head, "") for head in heads}}
