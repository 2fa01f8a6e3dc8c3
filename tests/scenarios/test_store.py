"""A study with a store of results: the same rows, and nothing is trained twice."""

import dataclasses
import errno
import json
import os
from pathlib import Path

import pytest

from fl.execution.store_file import write_entry
from fl.execution.store_upkeep import facts
from scenarios import run
from scenarios.cli import main
from scenarios.errors import RunFailedError, ScenarioError
from scenarios.load import load
from scenarios.store import store_folder, usable_store
from tests.scenarios.conftest import SMALL, STUDY, options

CASES = "cases={narrow: {radio.bandwidth_hz: 10e6}, wide: {radio.bandwidth_hz: 20e6}}"


@pytest.fixture(scope="module")
def study():
    return load(STUDY, [*SMALL, "seeds=[1]", "methods=[{kind: pftt}]", CASES])


def files_of(result):
    folder = result.folder
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.csv"))}


def jobs_of(result):
    runs = json.loads((result.folder / "manifest.json").read_text())["runs"]
    return [(entry["num_jobs_submitted"], entry["num_jobs_computed"]) for entry in runs]


def test_cases_that_train_alike_train_once_and_their_rows_are_the_same(study, tmp_path):
    plain = run(study, out=tmp_path / "plain")
    stored = run(study, out=tmp_path / "stored", store=tmp_path / "store")
    again = run(study, out=tmp_path / "again", store=tmp_path / "store")
    assert files_of(plain) == files_of(stored) == files_of(again)
    (submitted, computed), other = jobs_of(plain)
    assert computed == submitted > 0
    assert other == (submitted, submitted)
    assert jobs_of(stored) == [(submitted, submitted), (submitted, 0)]
    assert jobs_of(again) == [(submitted, 0)] * 2


def test_a_store_that_cannot_be_made_leaves_nothing(study, tmp_path):
    (tmp_path / "store").write_text("a file")
    with pytest.raises(ScenarioError, match="store: must be a folder that can be written, got"):
        run(study, out=tmp_path / "out", store=tmp_path / "store")
    assert not (tmp_path / "out").exists()


def test_a_full_disk_of_the_store_is_one_line_and_keeps_the_rows(study, tmp_path, monkeypatch):
    kept = []

    def write(path, *_):
        kept.append(path)
        if len(kept) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write_entry(path, *_)

    monkeypatch.setattr("fl.execution.store.write_entry", write)
    with pytest.raises(RunFailedError) as caught:
        run(study, out=tmp_path / "out", store=tmp_path / "store")
    line = str(caught.value)
    assert "\n" not in line
    assert f"{kept[-1]}: a result cannot be kept: No space left on device; free space, use" in line
    assert (
        json.loads((tmp_path / "out" / "small" / "manifest.json").read_text())["status"] == "failed"
    )
    monkeypatch.undo()
    again = run(study, out=tmp_path / "out", store=tmp_path / "store")
    plain = run(study, out=tmp_path / "plain")
    assert files_of(again) == files_of(plain)


def run_tiny(folder, *words):
    cut = [*SMALL, "seeds=[1]", "methods=[{kind: head}]", "server.num_rounds=1"]
    command = ["run", STUDY, *options(cut), "--out", str(folder / "out"), "--overwrite", "--json"]
    assert main([*command, *words]) == 0


def test_results_are_kept_in_the_cache_unless_told_otherwise(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AIRTUNE_STORE", str(tmp_path / "named"))
    run_tiny(tmp_path, "--no-store")
    assert not (tmp_path / "named").exists()
    run_tiny(tmp_path)
    run_tiny(tmp_path, "--store", str(tmp_path / "other"))
    for name in ("named", "other"):
        assert facts(tmp_path / name).num_entries > 0
    monkeypatch.delenv("AIRTUNE_STORE")
    monkeypatch.setenv("AIRTUNE_CACHE", str(tmp_path / "cache"))
    assert store_folder() == tmp_path / "cache" / "results"
    monkeypatch.setenv("AIRTUNE_STORE", "off")
    assert store_folder() is None
    assert store_folder("here") == Path("here").absolute()


def test_a_store_is_told_of_checked_and_cleared(tmp_path, capsys):
    folder = tmp_path / "store"
    run_tiny(tmp_path, "--store", str(folder))
    capsys.readouterr()
    assert main(["store", "info", "--store", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"folder": str(folder), **dataclasses.asdict(facts(folder))}
    assert main(["store", "verify", "--store", str(folder)]) == 0
    assert f"{told['num_entries']} results are whole, 0 were damaged" in capsys.readouterr().out
    damaged = next(folder.rglob("*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert main(["store", "verify", "--store", str(folder)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"airtune: {damaged}: ")
    assert captured.err.count("\n") == 1
    assert main(["store", "clear", "--store", str(folder)]) == 0
    assert f"removed {told['num_entries'] - 1} results" in capsys.readouterr().out
    assert main(["store", "info", "--store", str(folder)]) == 0
    assert ": 0 results, 0.0 MB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--store", "a", "--no-store"), "--store and --no-store: give one of them"),
        (("--store-max-gb", "1", "--no-store"), "--store-max-gb: has no effect with --no-store"),
        (("--store-max-gb", "0"), "must be a number above 0 and below 1e+09, got '0'"),
        (("--store-max-gb", "nan"), "got 'nan'"),
    ],
)
def test_bad_settings_of_the_store_are_one_line(words, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["run", STUDY, *words])
    except SystemExit as error:
        code = error.code
    assert code == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_a_store_there_is_nothing_to_tell(capsys):
    assert main(["store", "info"]) == 2
    assert "AIRTUNE_STORE is off; name a folder with --store" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_told_of_and_stops_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.delenv("AIRTUNE_STORE")
    monkeypatch.setenv("AIRTUNE_CACHE", str(tmp_path / "cache"))
    assert usable_store() is None
    told = capsys.readouterr().err
    assert told.startswith("airtune: store: must be a folder that can be written, got ")
    assert told.endswith("; no results are kept now\n")
    with pytest.raises(ScenarioError, match="store: must be a folder that can be written"):
        usable_store(str(tmp_path / "cache" / "named"))
    monkeypatch.setenv("AIRTUNE_STORE", str(tmp_path / "cache" / "named"))
    with pytest.raises(ScenarioError, match="store: must be a folder that can be written"):
        usable_store()
    monkeypatch.setenv("AIRTUNE_STORE", str(tmp_path / "fine"))
    assert usable_store() == tmp_path / "fine"
