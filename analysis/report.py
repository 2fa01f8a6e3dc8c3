"""Write the report of a result folder: figures, tables and one self-contained page."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.alignment import answer_table, reward_table
from analysis.canvas import Size, figure_style
from analysis.device_range import device_table
from analysis.errors import FolderLostError, ResultError
from analysis.figures import (
    FIGURES,
    SavedFigure,
    draw_picture,
    file_names,
    save_picture,
    subjects,
    svg_text,
)
from analysis.folder_files import add_to_record, check_no_link
from analysis.folder_lock import locked_if_free, lost_message
from analysis.load import Results, load_results
from analysis.manifest import read_manifest
from analysis.outlets import to_latex, to_markdown, write_csv
from analysis.page import render_page
from analysis.participation import participation_table, waste_table
from analysis.picture import Subject
from analysis.privacy_cost import privacy_table
from analysis.settings import has_settings, order_table
from analysis.tables import Table, metrics_of, runs_table, summary_table, target_table
from analysis.totals import total_tables
from analysis.who_counts import who_counts_table

_PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was written."""

    folder: Path
    index: Path
    """The page, ``report.html``."""
    figures: tuple[SavedFigure, ...]
    tables: tuple[Table, ...]
    """Summary first, then the tables of each target, then the list of runs."""
    notes: tuple[str, ...]
    """Runs that are unfinished, missing or left out."""


def write_report(
    folder: Path | str,
    *,
    run_id: str | None = None,
    formats: Sequence[str] = (),
    size: Size = "double",
    interpolate: bool = False,
) -> Report:
    """Write ``figures/``, ``tables/`` and ``report.html`` into a result folder.

    The same rows give the same bytes. Files of an earlier report with the same names are replaced.
    No run can replace the folder meanwhile. Of a folder that a run still writes to, what is there
    is shown, and the first note says so.

    Parameters
    ----------
    folder
        A result folder as ``airtune run`` leaves it, finished or not.
    run_id
        Report only if this run wrote the folder, and nobody writes to it now.
    formats
        Of figure files beside PNG and SVG: ``pdf``.
    size
        Of figure files, see :func:`analysis.canvas.figure_style`; the page has its own two.
    interpolate
        Whether costs to a target are read between evaluations, see
        :func:`analysis.stats.to_target`; those over the ranges of devices never are.

    Returns
    -------
    Report
        Paths and tables.

    Raises
    ------
    FolderLostError
        The folder is not (or no longer) that of ``run_id``.
    ResultError
        The folder cannot be used; see :func:`analysis.load.load_results`.
    OSError
        A file cannot be written.
    """
    results = dataclasses.replace(load_results(folder), interpolates=interpolate)
    with locked_if_free(results.folder, purpose="airtune report") as holder:
        is_ours = run_id is None or (results.manifest.run_id == run_id and holder is None)
        if not is_ours:
            raise FolderLostError(lost_message(results.folder))
        if holder is None:
            _check_unchanged(results)
        elif not any(holder in note for note in results.notes):
            notes = (f"still running, shown as far as it got: {holder}", *results.notes)
            results = dataclasses.replace(results, notes=notes)
        return _write(results, formats=formats, size=size)


def all_tables(results: Results) -> tuple[Table, ...]:
    """Make the summary, tables of each target, and the list of runs.

    Where nothing was trained the summary has costs alone, with a table of energy by activity.
    """
    if results.is_timing_only:
        return (*total_tables(results), *_tables_of_clients(results), runs_table(results))
    metrics = [metric for metric in metrics_of(results) if metric in results.targets]
    targets = [
        target_table(results, metric=metric, target=results.targets[metric]) for metric in metrics
    ]
    orders = [order_table(results, metric=metric) for metric in metrics if has_settings(results)]
    ranges = [
        device_table(results, metric=metric, target=results.targets[metric]) for metric in metrics
    ]
    known = [table for table in ranges if table is not None]
    written = [reward_table(results), answer_table(results)]
    of_answers = [table for table in written if table is not None]
    of_all = [table for table in (who_counts_table(results), privacy_table(results)) if table]
    return (
        summary_table(results),
        *targets,
        *of_answers,
        *of_all,
        *_tables_of_clients(results),
        *known,
        *orders,
        runs_table(results),
    )


def _tables_of_clients(results: Results) -> list[Table]:
    """Make the tables of who took part and of energy in vain."""
    if not len(results.used(results.clients)):
        return []
    tables = [participation_table(results), waste_table(results)]
    return [table for table in tables if table is not None]


def _check_unchanged(results: Results) -> None:
    """Refuse rows that were replaced between reading them and taking the lock."""
    if read_manifest(results.folder) != results.manifest.data:
        msg = f"{results.folder}: a run changed it while it was read; ask for the report again"
        raise ResultError(msg)


def _write(results: Results, *, formats: Sequence[str], size: Size) -> Report:
    tables = all_tables(results)
    _write_tables(tables, results.folder)
    figures = [
        _figure(results, kind, subject, formats=formats, size=size)
        for kind, subject in subjects(results)
    ]
    index = results.folder / _PAGE
    _announce(results.folder, [_PAGE])
    page = render_page(results, tables, figures)
    index.write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")
    return Report(
        folder=results.folder,
        index=index,
        figures=tuple(figures),
        tables=tables,
        notes=results.notes,
    )


def _figure(
    results: Results, kind: str, subject: Subject, *, formats: Sequence[str], size: Size
) -> SavedFigure:
    """Write the files of one figure; draw it for wide and narrow screens where the page has it."""
    frame = FIGURES[kind].frame(results, subject)
    with figure_style(size):
        picture = draw_picture(kind, results, subject, frame)
        names = file_names(picture, formats)
        _announce(results.folder, (f"figures/{name}" for name in names))
        saved = save_picture(picture, results.folder / "figures", formats)
    if not picture.in_report:
        return saved
    texts: dict[Size, str] = {size: saved.svg.read_text(encoding="utf-8")}
    pages: tuple[Size, ...] = ("double", "column")
    for each in pages:
        if each not in texts:
            with figure_style(each):
                texts[each] = svg_text(draw_picture(kind, results, subject, frame))
    return dataclasses.replace(saved, wide=texts["double"], narrow=texts["column"])


def _write_tables(tables: tuple[Table, ...], folder: Path) -> None:
    place = folder / "tables"
    for table in tables:
        _announce(folder, (f"tables/{table.name}.{ending}" for ending in ("csv", "md", "tex")))
        place.mkdir(exist_ok=True)
        write_csv(table.numbers, place / f"{table.name}.csv")
        for ending, text in (("md", to_markdown(table)), ("tex", to_latex(table))):
            path = place / f"{table.name}.{ending}"
            path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def _announce(folder: Path, names: Iterable[str]) -> None:
    """Record files before they are written, and refuse links that lead out of the folder."""
    listed = list(names)
    for name in listed:
        check_no_link(folder, folder / name)
    add_to_record(folder, listed)
