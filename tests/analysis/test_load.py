import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from analysis.errors import ResultError
from analysis.folder_files import mark
from analysis.folder_lock import FolderLock
from analysis.load import load_results
from analysis.page import render_page
from analysis.rows import IN_SOME_STUDIES, SCHEMAS
from analysis.tables import runs_table, summary_table
from analysis.who_counts import who_counts_table
from tests.analysis.synthetic import METHODS, write_results


@pytest.fixture
def small(tmp_path):
    return write_results(tmp_path / "out", methods=METHODS[1:3], seeds=(1, 2), num_rounds=3)


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def put_manifest(folder, manifest):
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_every_row_on_disk_is_loaded_with_its_address(small):
    results = load_results(small)
    for kind, columns in SCHEMAS.items():
        if kind in IN_SOME_STUDIES and kind not in ("classes", "scores"):
            assert getattr(results, kind).empty
            continue
        frame = getattr(results, kind)
        files = small.glob(f"*/seed*/{kind}.csv")
        lines = sum(len(file.read_text().splitlines()) - 1 for file in files)
        assert len(frame) == lines > 0
        assert list(frame.columns[:2]) == ["variant", "seed"]
        assert set(columns) <= set(frame.columns)
    assert results.runs["is_used"].all()
    assert results.notes == ()
    assert results.labels == {"fedit_r8": "FedIT, rank 8", "fedtt_r5": "FedTT, rank 5"}


def test_killed_run_is_readable_named_and_left_out(results):
    assert results.notes == (
        "FedTT, rank 5, seed 3: interrupted after 9 rounds; left out of means",
    )
    rows = results.rounds.query("variant == 'fedtt_r5' and seed == 3")
    assert list(rows["round"]) == list(range(1, 10))  # the half row at the end is gone
    used = results.used(results.rounds)
    assert set(used.query("variant == 'fedtt_r5'")["seed"]) == {1, 2}


def test_variant_without_finished_run_is_shown_as_far_as_it_got(tmp_path):
    folder = write_results(
        tmp_path / "out", methods=METHODS[1:3], seeds=(1,), num_rounds=5, cut={("fedit_r8", 1): 1}
    )
    results = load_results(folder)
    assert results.runs["is_used"].all()
    assert results.notes == (
        "FedIT, rank 8, seed 1: interrupted after 1 round; shown as far as it got",
    )


def test_missing_seed_and_foreign_folder_are_told(small):
    shutil.rmtree(small / "fedit_r8" / "seed2")
    shutil.copytree(small / "fedtt_r5", small / "elsewhere")
    notes = load_results(small).notes
    assert "FedIT, rank 8: no result for seed 2" in notes
    assert "elsewhere/seed1: not in the manifest, left out" in notes


def test_run_absent_from_the_manifest_counts_as_interrupted(small):
    manifest = manifest_of(small)
    manifest["runs"] = manifest["runs"][1:]
    put_manifest(small, manifest)
    runs = load_results(small).runs
    assert list(runs["status"]) == ["interrupted", "done", "done", "done"]
    assert list(runs["is_used"]) == [False, True, True, True]


def test_labels_that_clash_give_way_to_names(small):
    manifest = manifest_of(small)
    for variant in manifest["variants"]:
        variant["label"] = "the same"
    put_manifest(small, manifest)
    assert list(load_results(small).labels.values()) == ["fedit_r8", "fedtt_r5"]


def test_missing_folder(tmp_path):
    with pytest.raises(ResultError, match="nowhere: no such result folder"):
        load_results(tmp_path / "nowhere")


def test_missing_manifest(tmp_path):
    with pytest.raises(ResultError, match=r"no manifest\.json"):
        load_results(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        ("[]", "must hold one JSON object, got list"),
        ("{}", "variants: must be a list"),
        ('{"variants": [{"label": "x"}]}', "variants: must be a list"),
    ],
)
def test_bad_manifest(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ResultError, match=message):
        load_results(tmp_path)


def test_nothing_finished(small):
    for file in small.glob("*/seed*/evaluations.csv"):
        file.unlink()
    manifest = manifest_of(small)
    manifest["runs"] = []
    put_manifest(small, manifest)
    with pytest.raises(ResultError, match="nothing finished"):
        load_results(small)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("started_at_s", "begun_at_s", r"rounds\.csv: lacks the column started_at_s"),
        ("\n2,", "\ntwo,", r"line 3: round: must be a whole number, got 'two'"),
        ("\n2,", "\n2.5,", r"line 3: round: must be a whole number, got '2.5'"),
        ("\n2,", "\n,", r"line 3: round: must be a whole number, got an empty cell"),
        ("\n2,", "\n2,7,7,", r"Expected 12 fields in line 3"),
    ],
)
def test_bad_cell_names_file_line_and_column(small, old, new, message):
    path = small / "fedit_r8" / "seed1" / "rounds.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ResultError, match=message) as caught:
        load_results(small)
    assert "\n" not in str(caught.value)


def test_done_run_must_be_whole(small):
    path = small / "fedit_r8" / "seed1" / "rounds.csv"
    path.write_text(path.read_text()[:-3])
    with pytest.raises(ResultError, match="ends in the middle of a row"):
        load_results(small)
    path.unlink()
    with pytest.raises(ResultError, match="missing, though the manifest says"):
        load_results(small)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("runs", None),
        ("runs", "done"),
        ("runs", [1]),
        ("runs", [{"seed": 1}]),
        ("runs", [{"variant": "fedit_r8", "seed": "one"}]),
        ("runs", [{"variant": "fedit_r8", "seed": [1]}]),
        ("runs", [{"variant": "fedit_r8", "seed": 1, "host_total_s": "long"}]),
        ("seeds", 1),
        ("seeds", ["one"]),
        ("targets", [1]),
        ("targets", {"accuracy": "high"}),
        ("variants", {"name": "x"}),
    ],
)
def test_a_manifest_with_a_bad_entry_is_refused_in_one_line(small, key, value):
    put_manifest(small, {**manifest_of(small), key: value})
    with pytest.raises(ResultError, match=rf"manifest\.json: {key}: must be") as caught:
        load_results(small)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"\n\n"])
def test_a_table_that_is_no_text_or_has_no_columns_is_refused(small, content):
    path = small / "fedit_r8" / "seed1" / "rounds.csv"
    path.write_bytes(content)
    with pytest.raises(ResultError, match=r"rounds\.csv: "):
        load_results(small)


def put_cell(folder, table, column, cell, *, row=1):
    """Write a cell of a run's table."""
    path = folder / "fedit_r8" / "seed1" / f"{table}.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    lines[row][lines[0].index(column)] = cell
    path.write_text("".join(",".join(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("table", "column", "cell", "want"),
    [
        ("rounds", "finished_at_s", "inf", "a finite number, got 'inf'"),
        ("rounds", "energy_j", "-Infinity", "a finite number, got '-Infinity'"),
        ("rounds", "energy_j", "nan", "a finite number, got 'nan'"),
        ("rounds", "energy_j", "1e999", "a number, got '1e999'"),
        ("rounds", "energy_j", "1e300", "a number, got '1e300'"),
        ("rounds", "uplink_bytes", "inf", "a whole number, got 'inf'"),
        ("rounds", "uplink_bytes", "1e30", "a whole number, got '1e30'"),
        ("rounds", "uplink_bytes", "9" * 5000, "a whole number, got '9999"),
        ("rounds", "uplink_bytes", "True", "a whole number, got 'True'"),
        ("evaluations", "at_s", "inf", "a finite number, got 'inf'"),
        ("energy", "energy_j", "inf", "a finite number, got 'inf'"),
        ("clients", "radio_j", "inf", "a finite number, got 'inf'"),
    ],
)
def test_a_number_that_is_none_is_one_line(small, table, column, cell, want):
    path = put_cell(small, table, column, cell)
    with pytest.raises(ResultError) as caught:
        load_results(small)
    assert str(caught.value).startswith(f"{path}: line 2: {column}: must be {want}")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("cell", ["inf", "-inf", "nan", "NaN", "1e999"])
def test_a_metric_that_diverged_is_left_out_and_told(small, cell):
    """A perplexity that overflows is an honest result: the report still comes."""
    put_cell(small, "evaluations", "mean", cell)
    put_cell(small, "evaluations", "mean", cell, row=3)
    results = load_results(small)
    assert results.notes == (
        "fedit_r8/seed1/evaluations.csv: mean: 2 values are not finite, left out of means",
    )
    mine = results.evaluations.query("variant == 'fedit_r8' and seed == 1")["mean"]
    assert list(mine.isna()) == [True, False, True, *[False] * (len(mine) - 3)]


def test_an_empty_cell_that_may_be_empty_is_not_told(small):
    put_cell(small, "clients", "train_loss", "")
    assert load_results(small).notes == ()


@pytest.mark.parametrize("depth", [100, 900, 100_000])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_a_deep_manifest_is_one_line(small, depth, pair):
    begin, end = ("[", "]") if pair == "[]" else ('{"a":', "}")
    deep = begin * depth + "1" + end * depth
    text = (small / "manifest.json").read_text()
    (small / "manifest.json").write_text(text.replace("{", f'{{"deep": {deep},', 1))
    with pytest.raises(ResultError, match=r"manifest\.json: must have at most 40 levels"):
        load_results(small)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_a_manifest_with_a_number_that_is_none_is_one_line(small, number):
    text = (small / "manifest.json").read_text()
    (small / "manifest.json").write_text(text.replace("0.8", number, 1))
    with pytest.raises(ResultError, match=r"manifest\.json: not readable as JSON: ") as caught:
        load_results(small)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("value", [1, "x", [1], {"a": [1]}, None, True, "\udcff"])
@pytest.mark.parametrize(
    "key", ["name", "status", "cost_label", "target_split", "versions", "data", "commit", "label"]
)
def test_whatever_a_manifest_says_elsewhere_is_shown_or_one_line(small, key, value):
    manifest = manifest_of(small)
    place = manifest["variants"][0] if key == "label" else manifest
    put_manifest(small, {**manifest, key: value} if key != "label" else manifest)
    if key == "label":
        place["label"] = value
        put_manifest(small, manifest)
    results = load_results(small)
    render_page(results, (summary_table(results), runs_table(results)), ())


def test_variants_of_one_name_are_refused(small):
    manifest = manifest_of(small)
    manifest["variants"] += manifest["variants"][:1]
    put_manifest(small, manifest)
    with pytest.raises(ResultError, match="objects of different names, got 'fedit_r8'"):
        load_results(small)


@pytest.mark.parametrize("name", ["seed99999999999999999999", "seed-1", "seedling"])
def test_a_folder_whose_seed_no_table_can_hold_is_left_out(small, name):
    shutil.copytree(small / "fedit_r8" / "seed1", small / "fedit_r8" / name)
    assert set(load_results(small).runs["seed"]) == {1, 2}


def test_a_folder_of_a_newer_schema_is_one_line(small):
    put_manifest(small, {**manifest_of(small), **mark("ab")})
    assert load_results(small).manifest.run_id == "ab"
    put_manifest(small, {**manifest_of(small), "airtune": {"result_schema": 2}})
    with pytest.raises(ResultError, match="result schema 2, this one reads up to 1"):
        load_results(small)


def test_a_column_that_the_folder_tells_is_refused(small):
    path = small / "fedit_r8" / "seed1" / "rounds.csv"
    head, *rows = path.read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in (f"{head},seed", *(f"{r},1" for r in rows))))
    with pytest.raises(ResultError, match="must not have a column seed"):
        load_results(small)


def test_a_folder_that_a_run_writes_to_says_so(small):
    put_manifest(small, {**manifest_of(small), "status": "running"})
    assert load_results(small).notes == ()
    with FolderLock(small, purpose="airtune run"):
        (note,) = load_results(small).notes
        assert note.startswith(f"still running, shown as far as it got: process {os.getpid()} on ")
    assert load_results(small).notes == (
        "the study was killed: its manifest says running, but no process writes to it",
    )


def without_columns(path, names):
    """Take columns out of a CSV file, as a version that did not know them wrote it."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table.drop(columns=names).to_csv(path, index=False, lineterminator="\n")


def test_columns_that_an_older_version_did_not_write_are_empty_and_named_in_one_line(small):
    newer = ["num_left_out", "text_mean"]
    for path in small.glob("*/seed*/evaluations.csv"):
        without_columns(path, newer)
    results = load_results(small)
    assert results.notes == (
        "written by an older version, so without text_mean, num_left_out of evaluations.csv",
    )
    assert results.evaluations[newer].isna().all(axis=None)
    assert set(results.evaluations[newer].dtypes) == {np.dtype("float64")}
    assert results.evaluations["prior"].notna().any()
    table = who_counts_table(results)
    assert "over texts" not in table.text.columns
    assert "over these" in table.text.columns
    assert "written by an older version" in render_page(results, figures=[], tables=[table])


def test_runs_of_an_older_and_a_newer_version_stand_in_one_folder(small):
    without_columns(small / "fedit_r8" / "seed1" / "evaluations.csv", ["prior"])
    rows = load_results(small).evaluations.query("split == 'personal'")
    is_older = (rows["variant"] == "fedit_r8") & (rows["seed"] == 1)
    assert list(rows["prior"].isna()) == list(is_older)


def test_which_columns_may_be_lacking_is_told_by_the_schema(small):
    """Every one that it marks, and no other."""
    for path in small.glob("*/seed*/*.csv"):
        kind = path.stem
        without_columns(path, [name for name in SCHEMAS[kind] if SCHEMAS[kind][name] == "float??"])
    results = load_results(small)
    assert set(SCHEMAS["evaluations"]) <= set(results.evaluations.columns)
    without_columns(small / "fedit_r8" / "seed1" / "evaluations.csv", ["worst10"])
    with pytest.raises(ResultError, match=r"evaluations\.csv: lacks the column worst10; it has"):
        load_results(small)
