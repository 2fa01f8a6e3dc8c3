"""All rows of a study in tidy tables: one a kind of row, runs told by variant, method, knobs, seed.

Columns are those of the files of a run (docs/results.md), units in their names. In front stand
``variant`` and ``label``, ``method``, one column for each knob of the study by its key, ``seed``
and ``is_used``: whether the run counts in statistics.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

import pandas as pd

from analysis.errors import ResultError
from analysis.load import Results
from analysis.outlets import write_csv
from analysis.rows import SCHEMAS

Form = Literal["csv", "parquet", "duckdb"]
FORMS: tuple[Form, ...] = get_args(Form)
RUNS = "runs"
"""Table with one row a run: status, rounds, host times."""


def tidy_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables of a study by name, those without a row left out.

    Parameters
    ----------
    results
        One study, or several folders read as one.

    Returns
    -------
    dict
        ``runs`` first, then those of :data:`analysis.rows.SCHEMAS`. A column in front that has the
        name of one of the rows is called ``knob <key>``.
    """
    known = pd.DataFrame(
        [
            {
                "variant": each.name,
                "label": each.label,
                "method": each.method,
                **{_knob_name(knob): str(value) for knob, value in each.knobs.items()},
            }
            for each in results.variants
        ]
    )
    runs = results.runs[["variant", "seed", "is_used"]]
    frames: dict[str, pd.DataFrame] = {RUNS: results.runs}
    frames |= {kind: getattr(results, kind) for kind in SCHEMAS}
    tables = {}
    for kind, frame in frames.items():
        if frame.empty:
            continue
        rows = frame if "is_used" in frame else frame.merge(runs, on=["variant", "seed"])
        whole = known.merge(rows, on="variant", how="right")
        first = [*known.columns, "seed", "is_used"]
        tables[kind] = whole[[*first, *(name for name in whole.columns if name not in first)]]
    return tables


def export(results: Results, *, form: Form, place: Path) -> list[Path]:
    """Write the tables of a study.

    Parameters
    ----------
    results
        The study.
    form
        ``csv`` and ``parquet``: a file a table; ``duckdb``: one database with a table each.
    place
        Folder of the files, made if it is not there; tables that it holds are replaced.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ResultError
        The package that a form needs is not there, or a database cannot be written.
    OSError
        A file cannot be written.
    """
    duckdb = _duckdb() if form == "duckdb" else None
    tables = tidy_tables(results)
    place.mkdir(parents=True, exist_ok=True)
    if duckdb is not None:
        return [_write_database(duckdb, tables, place / "airtune.duckdb")]
    files = []
    for name, table in tables.items():
        path = place / f"{name}.{form}"
        if form == "csv":
            write_csv(table, path)
        else:
            table.to_parquet(path, index=False)
        files.append(path)
    return files


def _duckdb() -> ModuleType:
    try:
        return import_module("duckdb")
    except ImportError as error:
        msg = f"--to duckdb: the package duckdb is needed ({error}): pip install duckdb"
        raise ResultError(msg) from None


def _write_database(duckdb: ModuleType, tables: Mapping[str, pd.DataFrame], path: Path) -> Path:
    try:
        with duckdb.connect(str(path)) as database:
            for name, table in tables.items():
                database.register("rows", table)
                database.execute(f'create or replace table "{name}" as select * from rows')
                database.unregister("rows")
    except duckdb.Error as error:
        msg = f"{path}: {' '.join(str(error).split())}"
        raise ResultError(msg) from None
    return path


def _knob_name(knob: str) -> str:
    names = {"variant", "label", "method", "seed", "is_used", "status"}
    taken = names.union(*(columns.keys() for columns in SCHEMAS.values()))
    return f"knob {knob}" if knob in taken else knob
