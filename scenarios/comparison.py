"""The verb ``compare``: variants of one or several result folders, as a table of any form."""

import argparse
import dataclasses
import math
from typing import TYPE_CHECKING

from analysis.errors import ResultError
from scenarios.errors import ScenarioError
from scenarios.output import say

if TYPE_CHECKING:
    from analysis.tables import Table


def compare_variants(options: argparse.Namespace) -> int:
    """Compare the variants of one or several result folders."""
    from analysis.compare import compare  # noqa: PLC0415
    from analysis.differences import final_differences  # noqa: PLC0415
    from analysis.several import load_several  # noqa: PLC0415
    from analysis.short import shortened  # noqa: PLC0415
    from analysis.totals import total_differences  # noqa: PLC0415

    if options.target is None and options.baseline is None and options.by is None:
        told = "give --target METRIC=VALUE, --baseline METHOD, --by KNOB, or several"
        raise ScenarioError([f"compare: {told}"])
    if options.json and options.format not in (None, "json"):
        raise ScenarioError([f"--json and --format {options.format}: give one of them"])
    if options.interpolate and options.target is None:
        raise ScenarioError(["--interpolate: reads costs to a target; give --target METRIC=VALUE"])
    target = None if options.target is None else _parse_target(options.target)
    chosen = {"baseline": options.baseline, "by": options.by}
    try:
        results = load_several(options.folders)
        results = dataclasses.replace(results, interpolates=options.interpolate)
        if target is None:
            differences = total_differences if results.is_timing_only else final_differences
            table = differences(results, **chosen)
        else:
            metric, value = target
            table = compare(results, metric=metric, target=value, **chosen)
    except ResultError as error:
        raise ScenarioError([str(error)]) from None
    except OSError as error:
        where = error.filename or options.folders[0]
        raise ScenarioError([f"{where}: {error.strerror or error}"]) from None
    form = "json" if options.json else options.format
    if form is None:
        where = "--format text, md, tex, csv or json"
        table = shortened(table, where=where) or table
    _say_table(table, form or "text")
    return 0


def _say_table(table: "Table", form: str) -> None:
    """Print a table: its numbers as CSV or JSON, its cells as Markdown, LaTeX or text."""
    from analysis.outlets import csv_lines, rich_table, to_latex, to_markdown  # noqa: PLC0415

    if form == "text":
        say(rich_table(table))
    elif form == "json":
        say(table.numbers.to_json(orient="records"))
    elif form == "csv":
        say(csv_lines(table.numbers).rstrip("\n"))
    else:
        say((to_markdown if form == "md" else to_latex)(table).rstrip("\n"))


def _parse_target(text: str) -> tuple[str, float]:
    """Read ``METRIC=NUMBER``; what ``server.targets`` of a scenario refuses is refused here."""
    from fl.metrics import METRICS  # noqa: PLC0415

    metric, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        raise ScenarioError([f"--target {text}: must have the form METRIC=NUMBER"]) from None
    is_fraction = metric in METRICS and METRICS[metric].is_fraction
    if not math.isfinite(value):
        rule = "must be a finite number"
    elif value <= 0:
        rule = "must be > 0"
    elif is_fraction and value > 1:
        rule = "must be <= 1"
    else:
        return metric, value
    raise ScenarioError([f"--target {text}: {metric}: {rule}, got {value:g}"])
