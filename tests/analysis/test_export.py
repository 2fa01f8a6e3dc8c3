"""Tidy tables: every row of every run, told by variant, knobs and seed, in each form."""

import sys

import pandas as pd
import pytest

from analysis.errors import ResultError
from analysis.export import FORMS, RUNS, export, tidy_tables
from analysis.rows import SCHEMAS

FIRST = ["variant", "label", "method", "seed", "is_used"]


def test_every_row_is_there_and_told_whose_it_is(results):
    tables = tidy_tables(results)
    assert next(iter(tables)) == RUNS
    assert {"rounds", "clients", "transfers", "evaluations", "energy"} <= set(tables)
    for name, table in tables.items():
        rows = results.runs if name == RUNS else getattr(results, name)
        assert len(table) == len(rows)
        assert list(table.columns)[:5] == FIRST
        left = [column for column in rows.columns if column not in FIRST]
        pd.testing.assert_frame_equal(
            table[left].reset_index(drop=True), rows[left].reset_index(drop=True)
        )
    labels = tables["rounds"].drop_duplicates("variant").set_index("variant")["label"].to_dict()
    assert labels.items() <= results.labels.items()
    cut = tables["rounds"].query("variant == 'fedtt_r5' and seed == 3")
    assert len(cut) == 9
    assert not cut["is_used"].any()


def test_knobs_are_columns(in_cases):
    table = tidy_tables(in_cases)["evaluations"]
    assert list(table.columns)[:4] == ["variant", "label", "method", "case"]
    assert set(table["case"]) == {"ideal", "real"}
    ends = table["variant"].str.partition("--case=")[2]
    assert (ends == table["case"]).all()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_files_hold_what_the_tables_do(results, tmp_path, form):
    files = export(results, form=form, place=tmp_path / "new" / "folder")
    tables = tidy_tables(results)
    assert [path.name for path in files] == [f"{name}.{form}" for name in tables]
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[form]
    for path in files:
        expected = tables[path.stem]
        found = read(path)
        assert list(found.columns) == list(expected.columns)
        assert len(found) == len(expected)
        for name in ("at_s", "energy_j", "size_bytes", "mean"):
            if name in expected:
                pd.testing.assert_series_equal(found[name], expected[name], check_dtype=False)


def test_a_database_holds_a_table_each_and_is_written_again(results, tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="the package duckdb is not installed")
    for _ in range(2):
        (path,) = export(results, form="duckdb", place=tmp_path)
    with duckdb.connect(str(path), read_only=True) as database:
        for name, table in tidy_tables(results).items():
            assert database.execute(f'select count(*) from "{name}"').fetchone() == (len(table),)
        mean = database.execute("select avg(energy_j) from rounds").fetchone()[0]
    assert mean == pytest.approx(results.rounds["energy_j"].mean())


def test_a_package_that_is_not_there_is_one_line(results, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ResultError, match="--to duckdb: the package duckdb is needed"):
        export(results, form="duckdb", place=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_every_form_is_tried_here():
    assert set(FORMS) == {"csv", "parquet", "duckdb"}
    assert "evaluations" in SCHEMAS
