"""Write the report of a result folder: figures, tables and one self-contained page."""

from dataclasses import dataclass
from pathlib import Path

from analysis.figures import SavedFigure, all_pictures, save_picture
from analysis.load import Results, load_results
from analysis.page import render_page
from analysis.style import figure_style
from analysis.tables import (
    Table,
    metrics_of,
    runs_table,
    summary_table,
    target_table,
    to_latex,
    to_markdown,
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was written."""

    folder: Path
    index: Path
    """The page, ``report.html``."""
    figures: tuple[SavedFigure, ...]
    tables: tuple[Table, ...]
    """Summary first, then one table a target, then the list of runs."""
    notes: tuple[str, ...]
    """Runs that are unfinished, missing or left out."""


def write_report(folder: Path | str) -> Report:
    """Write ``figures/``, ``tables/`` and ``report.html`` into a result folder.

    The same rows give the same bytes. Files of an earlier report with the same names are replaced.

    Parameters
    ----------
    folder
        A result folder as ``airtune run`` leaves it, finished or not.

    Returns
    -------
    Report
        Paths and tables.

    Raises
    ------
    ResultError
        The folder cannot be used; see :func:`analysis.load.load_results`.
    """
    results = load_results(folder)
    tables = all_tables(results)
    _write_tables(tables, results.folder / "tables")
    with figure_style():
        figures = tuple(
            save_picture(picture, results.folder / "figures") for picture in all_pictures(results)
        )
    index = results.folder / "report.html"
    index.write_text(render_page(results, tables, figures), encoding="utf-8", newline="\n")
    return Report(
        folder=results.folder, index=index, figures=figures, tables=tables, notes=results.notes
    )


def all_tables(results: Results) -> tuple[Table, ...]:
    """Make the summary, one table a target, and the list of runs."""
    targets = [
        target_table(results, metric=metric, target=results.targets[metric])
        for metric in metrics_of(results)
        if metric in results.targets
    ]
    return (summary_table(results), *targets, runs_table(results))


def _write_tables(tables: tuple[Table, ...], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        table.numbers.to_csv(folder / f"{table.name}.csv", index=False, lineterminator="\n")
        for ending, text in (("md", to_markdown(table)), ("tex", to_latex(table))):
            path = folder / f"{table.name}.{ending}"
            path.write_text(text, encoding="utf-8", newline="\n")
