"""A study is gone on with: finished runs stay, others are done, another study is never mixed in."""

import json

import pytest

from scenarios import earlier_runs, run
from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.output import MAX_LINE
from scenarios.progress import Silent
from tests.scenarios.conftest import options

BASE = (
    "name=small",
    "seeds=[1, 2]",
    "world=null",
    "radio=null",
    "network={kind: constant, uplink_rate_bps: 1e7, downlink_rate_bps: 1e7}",
    "clients.num_clients=4",
    "data.partition={kind: iid}",
    "data.max_train_texts=60",
    "data.max_test_texts=20",
    "training={mode: none, local_steps: 1, batch_size: 4}",
    "server=null",
    "server={mode: sync, num_rounds: 2, policy: {kind: random, num_clients: 2}}",
    "methods=[{kind: fedit, rank: 2}, {kind: head}]",
)


def study(*changes):
    return load("quickstart", [*BASE, *changes])


def rows(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.csv"))}


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def written(folder):
    """When every file of rows was written."""
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.rglob("*.csv")}


@pytest.fixture
def done(tmp_path):
    """The folder of a study that has ended."""
    return run(study(), out=tmp_path).folder


def test_nothing_is_done_twice(done, tmp_path):
    before, manifest = written(done), manifest_of(done)
    result = run(study(), out=tmp_path)
    assert (result.num_done, result.num_kept, result.status) == (4, 4, "done")
    assert written(done) == before
    assert manifest_of(done)["runs"] == manifest["runs"]
    assert manifest_of(done)["host_total_s"] >= manifest["host_total_s"]


@pytest.mark.parametrize(
    ("change", "num_new"),
    [
        ("seeds=[1, 2, 3]", 2),
        ("seeds=[3, 2, 1]", 2),
        ("methods=[{kind: fedit, rank: 2}, {kind: bitfit}, {kind: head}]", 2),
    ],
    ids=["seed", "order", "method"],
)
def test_a_study_may_grow(done, tmp_path, change, num_new):
    before = written(done)
    grown = run(study(change), out=tmp_path)
    fresh = run(study(change), out=tmp_path / "fresh")
    assert (grown.num_kept, grown.num_done) == (4, 4 + num_new)
    assert {name: when for name, when in written(done).items() if name in before} == before
    assert rows(done) == rows(fresh.folder)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (("server.num_rounds=3",), "server.num_rounds: 2 there, 3 here"),
        (("methods=[{kind: fedit, rank: 3}, {kind: head}]",), "methods.0.rank: 2 there, 3 here"),
        (("data.max_train_texts=61",), "data.max_train_texts: 60 there, 61 here"),
        (("seeds=[2]",), "runs that this one has not: fedit seed 1, head seed 1"),
        (("methods=[{kind: head}]",), "runs that this one has not: fedit seed 1, fedit seed 2"),
        (
            (
                "training.local_steps=2",
                "training.batch_size=2",
                "clients.num_clients=5",
                "server.policy.num_clients=3",
            ),
            " and 1 more",
        ),
    ],
    ids=["rounds", "method", "texts", "seed", "method gone", "many"],
)
def test_another_study_is_named_and_nothing_changes(done, tmp_path, changes, told):
    before = written(done), manifest_of(done)
    with pytest.raises(ScenarioError) as caught:
        run(study(*changes), out=tmp_path)
    (line,) = caught.value.problems
    assert line.startswith(f"{done}: holds another study (")
    assert told in line
    assert line.endswith("use --overwrite to replace it, or --out to go elsewhere")
    assert len(line) <= MAX_LINE
    assert (written(done), manifest_of(done)) == before
    assert run(study(*changes), out=tmp_path, overwrite=True).num_kept == 0


def test_other_code_is_another_study(done, tmp_path, monkeypatch):
    monkeypatch.setattr(earlier_runs, "code_digest", lambda packages, libraries: "other")
    with pytest.raises(ScenarioError, match="made by other code or libraries"):
        run(study(), out=tmp_path)


@pytest.mark.parametrize("fault", ["cut", "gone", "status", "folder"])
def test_a_run_that_is_not_whole_is_done_again(done, tmp_path, fault):
    before = rows(done)
    one = done / "head" / "seed2"
    if fault == "cut":
        path = one / "rounds.csv"
        path.write_bytes(path.read_bytes()[:-5])
    elif fault == "gone":
        (one / "clients.csv").unlink()
    elif fault == "folder":
        for path in one.iterdir():
            path.unlink()
        one.rmdir()
    else:
        manifest = manifest_of(done)
        manifest["runs"][-1]["status"] = "interrupted"
        (done / "manifest.json").write_text(json.dumps(manifest))
    result = run(study(), out=tmp_path)
    assert (result.num_kept, result.num_done) == (3, 4)
    assert rows(done) == before


def test_an_interrupted_study_goes_on(done, tmp_path):
    class Stop(Silent):
        num_finished = 0

        def advance(self, progress):
            if self.num_finished == 2:
                raise KeyboardInterrupt

        def finish(self, variant, seed, status, host_s):
            self.num_finished += 1

    out = tmp_path / "stopped"
    stopped = run(study(), out=out, reporter=Stop())
    assert (stopped.status, stopped.num_done) == ("interrupted", 2)
    result = run(study(), out=out)
    assert (result.status, result.num_kept, result.num_done) == ("done", 2, 4)
    assert rows(out / "small") == rows(done)
    assert {entry["status"] for entry in manifest_of(out / "small")["runs"]} == {"done"}


def test_a_folder_of_before_keys_is_refused(done, tmp_path):
    manifest = manifest_of(done)
    for entry in manifest["runs"]:
        del entry["key"]
    (done / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ScenarioError, match="holds another study"):
        run(study(), out=tmp_path)


@pytest.mark.parametrize("runs", [None, 3, [{"variant": "head"}], [[1]]])
def test_a_manifest_without_runs_is_refused(done, tmp_path, runs):
    manifest = {**manifest_of(done), "runs": runs}
    (done / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ScenarioError, match="a manifest without runs"):
        run(study(), out=tmp_path)


def test_the_command_tells_what_was_done_before(tmp_path, capsys):
    trained = (*BASE, "training={local_steps: 1, batch_size: 4}")
    command = ["run", "quickstart", *options(trained), "--out", str(tmp_path)]
    assert main(command) == 0
    capsys.readouterr()
    assert main(command) == 0
    captured = capsys.readouterr()
    assert "4 of the runs were done before, and stayed as they are" in captured.out
    assert captured.err.count("done before in ") == 4
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["num_runs_done_before"] == 4
