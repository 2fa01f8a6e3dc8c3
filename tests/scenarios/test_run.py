import csv
import dataclasses
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from analysis.load import load_results
from analysis.rows import SCHEMAS
from analysis.totals import run_totals
from scenarios import run
from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.shares import corpus_of, shards_of
from scenarios.single import ROW_TYPES, assemble, row_types
from scenarios.variants import variants
from tests.scenarios.conftest import SMALL, STUDY, options

ROOT = Path(__file__).resolve().parents[2]


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def all_files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.csv"))}


@pytest.fixture(scope="session")
def result(small, tmp_path_factory):
    return run(small, out=tmp_path_factory.mktemp("one"))


def test_every_run_leaves_every_file(result, small):
    assert result.status == "done"
    assert result.num_done == len(small.methods) * len(small.seeds)
    for method in small.methods:
        for seed in small.seeds:
            names = {p.stem for p in (result.folder / method.kind / f"seed{seed}").glob("*.csv")}
            assert names == set(row_types(small))
            assert names == set(ROW_TYPES) - {"rewards", "answers", "questions", "privacy"}


def test_scores_of_clients_are_those_of_the_last_evaluation(result, small):
    for method in small.methods:
        folder = result.folder / method.kind / f"seed{small.seeds[0]}"
        scores = rows(folder / "scores.csv")
        last = [row for row in rows(folder / "evaluations.csv") if row["split"] == "personal"][-1]
        values = [float(row["value"]) for row in scores if row["metric"] == last["metric"]]
        assert len(values) == int(last["n"])
        assert sum(values) / len(values) == pytest.approx(float(last["mean"]), rel=1e-12)
        assert {row["round"] for row in scores} == {last["round"]}


def test_classes_of_clients_are_those_of_their_shards(result, small):
    seed = small.seeds[0]
    shards, corpus = shards_of(small, seed=seed), corpus_of(small)
    counted = rows(result.folder / small.methods[0].kind / f"seed{seed}" / "classes.csv")
    assert {int(row["client_id"]) for row in counted} == set(range(len(shards)))
    for client_id, shard in enumerate(shards):
        own = {row["class_name"]: row for row in counted if int(row["client_id"]) == client_id}
        for place, name in enumerate(corpus.class_names):
            expected = (corpus.train.labels[shard.train] == place).sum()
            assert int(own[name]["num_train"] if name in own else 0) == expected


def test_analysis_reads_columns_that_are_written():
    for name, columns in SCHEMAS.items():
        assert set(columns) <= {field.name for field in dataclasses.fields(ROW_TYPES[name])}, name


def test_a_transfer_can_be_replayed_from_the_files_of_a_run(result, small):
    """Client, cell, site, place and distance of an upload of round 2, against the network."""
    variant, seed = variants(small)[1], small.seeds[1]
    folder = result.folder / variant.name / f"seed{seed}"
    files = {name: rows(folder / f"{name}.csv") for name in row_types(small)}
    part = next(r for r in files["clients"] if r["round"] == "2" and r["outcome"] == "received")
    (upload,) = [
        t for t in files["transfers"]
        if t["participation_id"] == part["participation_id"] and t["direction"] == "uplink"
    ]  # fmt: skip
    assert upload["client_id"] == part["client_id"]
    begin_s, end_s = float(upload["requested_at_s"]), float(upload["finished_at_s"])
    assert end_s - begin_s == pytest.approx(float(part["upload_s"]), rel=1e-9)
    places = [
        p for p in files["positions"]
        if p["client_id"] == part["client_id"] and begin_s <= float(p["at_s"]) <= end_s
    ]  # fmt: skip
    connects_s = begin_s + float(upload["access_s"]) - small.radio.access.rtt_s / 2
    assert float(places[0]["at_s"]) == pytest.approx(connects_s, rel=1e-9)
    assert float(places[-1]["at_s"]) == end_s
    env, network, _ = assemble(variant, seed, recorder=None)
    assert float(places[0]["at_s"]) > 0
    for place in places:
        env.run(until=float(place["at_s"]))
        position_m = network.positions_m([int(place["client_id"])])
        assert (float(place["x_m"]), float(place["y_m"])) == pytest.approx(position_m[0], abs=1e-3)
        cell = next(c for c in files["cells"] if c["cell_id"] == place["cell_id"])
        site = next(s for s in files["sites"] if s["site_id"] == cell["site_id"])
        known = network.layout.cells[int(place["cell_id"])]
        assert (float(cell["boresight_deg"]), int(cell["site_id"])) == (
            known.boresight_deg, known.site_id,
        )  # fmt: skip
        by_hand_m = math.hypot(
            float(place["x_m"]) - float(site["x_m"]), float(place["y_m"]) - float(site["y_m"])
        )
        distance_m = network.layout.distance_m(position_m)[0, known.site_id]
        assert by_hand_m == pytest.approx(distance_m, abs=2e-3)
        assert float(place["distance_m"]) == pytest.approx(distance_m, abs=1e-3)
    assert places[-1]["cell_id"] == upload["cell_id"]
    assert [float(s["height_m"]) for s in files["sites"]] == [25.0]
    assert len(files["cells"]) == 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_same_scenario_same_bytes_with_any_number_of_workers(ladder, result, small, tmp_path, jobs):
    again = run(small, out=tmp_path, jobs=jobs)
    first, second = all_files(result.folder), all_files(again.folder)
    assert first.keys() == second.keys()
    ladder.near(
        25,
        "files that are the same byte for byte in a second run, 1 and 2 workers",
        source="all files of the first",
        measured=sum(first[name] == second[name] for name in first),
        expected=len(first),
        tolerance=0,
    )


def test_sites_that_fail_at_random_give_the_same_bytes_with_one_and_two_workers(tmp_path):
    settings = [
        *SMALL,
        "server.num_rounds=4",
        "server.targets={}",
        "training.mode=none",
        "methods=[{kind: fedit, rank: 8}]",
        "radio.transfer_timeout_s=1",
        "radio.outage_rate={mean_up_s: 1.5, mean_down_s: 1}",
    ]
    folders = [
        run(load(STUDY, settings), out=tmp_path / str(jobs), jobs=jobs).folder for jobs in (1, 2)
    ]
    first, second = map(all_files, folders)
    assert first == second
    results = load_results(folders[0])
    assert results.is_timing_only
    assert len(run_totals(results)) == 2
    assert json.loads((folders[0] / "manifest.json").read_text())["timing_only"] is True
    transfers = [row for path in folders[0].rglob("transfers.csv") for row in rows(path)]
    assert "outage" in {row["status"] for row in transfers}
    for path in folders[0].rglob("energy.csv"):
        base_s = {row["owner"]: row["seconds"] for row in rows(path) if row["activity"] == "base"}
        ended_s = float(rows(path.with_name("rounds.csv"))[-1]["finished_at_s"])
        assert 0 < float(base_s["site:0"]) < ended_s


def test_questions_of_a_policy_have_their_own_file(tmp_path):
    policy = "{kind: power_of_choice, num_clients: 2, num_candidates: 3}"
    settings = [
        *(each for each in SMALL if "policy" not in each),
        "seeds=[1]",
        f"server.policy={policy}",
        "methods=[{kind: head}]",
        "radio.transfer_timeout_s=0.05",
    ]
    folder = run(load(STUDY, settings), out=tmp_path).folder
    (path,) = folder.rglob("questions.csv")
    asked, rounds = rows(path), rows(path.with_name("rounds.csv"))
    assert len(asked) == 3 * len(rounds)
    clients = rows(path.with_name("clients.csv"))
    spent_j = sum(float(row["compute_j"]) for row in [*asked, *clients])
    energy = rows(path.with_name("energy.csv"))
    booked_j = sum(float(row["energy_j"]) for row in energy if row["activity"] == "compute")
    assert booked_j == pytest.approx(spent_j, rel=1e-9)
    wasted_j = sum(float(row["wasted_j"]) for row in [*asked, *clients])
    assert float(rounds[-1]["wasted_j"]) == pytest.approx(wasted_j, rel=1e-9)
    assert len(load_results(folder).questions) == len(asked)


def test_bytes_and_joules_add_up(result, small):
    for method in small.methods:
        for seed in small.seeds:
            folder = result.folder / method.kind / f"seed{seed}"
            rounds, transfers = rows(folder / "rounds.csv"), rows(folder / "transfers.csv")
            for direction in ("uplink", "downlink"):
                sent = sum(
                    int(t["delivered_bytes"]) for t in transfers if t["direction"] == direction
                )
                assert sent == sum(int(r[f"{direction}_bytes"]) for r in rounds)
            spent = defaultdict(float)
            for entry in rows(folder / "energy.csv"):
                spent[entry["owner"].partition(":")[0]] += float(entry["energy_j"])
            assert spent["client"] == pytest.approx(float(rounds[-1]["energy_j"]), rel=1e-9)
            assert spent["site"] == pytest.approx(float(rounds[-1]["site_energy_j"]), rel=1e-9)


def test_methods_meet_the_same_world(result, small):
    """Worlds are paired by seed: the same cohorts, places, links and shards for every method."""
    for seed in small.seeds:
        cohorts = [
            [(r["round"], r["client_id"]) for r in
             rows(result.folder / method.kind / f"seed{seed}" / "clients.csv")]
            for method in small.methods
        ]  # fmt: skip
        assert cohorts.count(cohorts[0]) == len(cohorts)
    first, second = (
        assemble(variant, small.seeds[0], recorder=None) for variant in variants(small)[1:]
    )
    other_seed = assemble(variants(small)[1], small.seeds[1], recorder=None)
    everyone = range(small.clients.num_clients)
    for at_s in (0.0, 30.0):
        worlds = []
        for env, network, federation in (first, second, other_seed):
            if at_s > env.now:
                env.run(until=at_s)
            shards = [(shard.train.tolist(), shard.test.tolist()) for shard in federation.shards]
            worlds.append(
                (
                    network.positions_m(everyone).tolist(),
                    network.link_table(everyone).mean_snr_db.tolist(),
                    shards,
                )
            )
        assert worlds[0] == worlds[1]
        assert all(own != other for own, other in zip(worlds[0], worlds[2], strict=True))


def test_local_sends_nothing_and_others_do(result, small):
    seed = small.seeds[0]
    assert rows(result.folder / "local" / f"seed{seed}" / "transfers.csv") == []
    sizes = {
        kind: {
            t["size_bytes"] for t in rows(result.folder / kind / f"seed{seed}" / "transfers.csv")
        }
        for kind in ("fedit", "pftt")
    }
    assert all(len(found) == 1 for found in sizes.values())


def test_manifest_tells_what_made_the_rows(result, small):
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["data"]["digest"]
    assert manifest["data"]["num_test_texts_in_train"] == 0
    for entry in manifest["runs"]:
        assert 0 <= entry["host_other_fraction"] <= 1
        assert entry["data"] == manifest["data"]
        assert entry["num_jobs_computed"] == entry["num_jobs_submitted"]
        assert entry["simulated_s"] > 0


def test_manifest_holds_digests_of_files_of_ones_own(tmp_path, result):
    """A scheduler, a method and a trace decide rows as the data do; other files do not count."""
    assert json.loads((result.folder / "manifest.json").read_text())["own_files"] == {}
    scheduler, trace, method = (tmp_path / name for name in ("mine.py", "walk.csv", "method.py"))
    scheduler.write_text(
        "from netsim.mac.schedulers import RoundRobin\nclass Mine(RoundRobin): pass\n"
    )
    rows = (f"{client},{at_s},{20 + client},0\n" for client in range(4) for at_s in (0, 1e6))
    trace.write_text("client_id,at_s,x_m,y_m\n" + "".join(rows))
    method.write_bytes((ROOT / "docs/examples/own_method.py").read_bytes())
    overrides = [
        *SMALL, "seeds=[1]", f"methods=[{{kind: local}}, {{kind: {method}:MedianHead}}]",
        "server.num_rounds=1", f"world.mobility={{kind: trace, path: {trace}}}",
        f"matrix={{radio.scheduler: [round_robin, {scheduler}:Mine]}}",
    ]  # fmt: skip
    folder = run(load(STUDY, overrides), out=tmp_path / "out").folder
    assert json.loads((folder / "manifest.json").read_text())["own_files"] == {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (scheduler, trace, method)
    }


def test_a_run_that_fails_says_why_and_when_on_one_line(tmp_path):
    """What a user's own code raises may have many lines; the manifest has the whole traceback."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from netsim.mac.schedulers import RoundRobin\n"
        "class Mine(RoundRobin):\n"
        "  def shares(self, view):\n"
        "    if view.client_id.max() < 3: return super().shares(view)\n"
        "    raise ValueError('boom\\nline2')\n"
    )
    overrides = [*SMALL, "seeds=[1]", "methods=[{kind: fedit}]", f"radio.scheduler={file}:Mine"]
    failed = run(load(STUDY, overrides), out=tmp_path / "out")
    assert failed.status == "failed"
    (line,) = failed.failures
    failure = (
        f"fedit seed 1: failed: RuntimeError: scheduler {file}:Mine, downlink of cell 0: "
        f"{file}:5: raised ValueError: boom line2"
    )
    log = failed.folder / "error.log"
    begin, end = f"{failure} at ", f" s of simulated time; traceback: {log}"
    assert line.startswith(begin)
    assert line.endswith(end)
    assert float(line.removeprefix(begin).removesuffix(end)) >= 0
    (entry,) = json.loads((failed.folder / "manifest.json").read_text())["runs"]
    assert "mine.py" in entry["error"]
    assert 'mine.py", line 5, in shares' in log.read_text()


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_study_keeps_its_finished_rounds(tmp_path, jobs):
    command = [sys.executable, "-m", "scenarios.cli", "run", STUDY, "--out", str(tmp_path)]
    command += ["--jobs", str(jobs)]
    command += options([*SMALL, "server.num_rounds=5000"])
    # A shell starts what runs in its background with interrupts ignored, which processes inherit.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, handler)
    path = tmp_path / "small" / "local" / "seed1" / "rounds.csv"
    deadline_s = time.monotonic() + 240
    while time.monotonic() < deadline_s and not (
        path.exists() and len(path.read_text().splitlines()) > 3
    ):
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    try:
        _, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert len(rows(path)) >= 2
    manifest = json.loads((tmp_path / "small" / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    assert manifest["runs"][0]["status"] == "interrupted"
    assert rows(path.with_name("energy.csv"))


@pytest.fixture
def running(tmp_path):
    """A study that goes on for long, once it has finished two rounds; and its first table."""
    command = [sys.executable, "-m", "scenarios.cli", "run", STUDY, "--out", str(tmp_path)]
    command += options([*SMALL, "server.num_rounds=5000"])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    path = tmp_path / "small" / "local" / "seed1" / "rounds.csv"
    deadline_s = time.monotonic() + 240
    while time.monotonic() < deadline_s and not (
        path.exists() and len(path.read_text().splitlines()) > 2
    ):
        time.sleep(0.2)
    yield process, path
    process.kill()
    process.communicate()


def test_a_folder_belongs_to_one_run_until_that_run_ends(running, small, tmp_path, capsys):
    """A second run is refused, a report says so; a run whose folder was taken away fails."""
    process, path = running
    folder = tmp_path / "small"
    with pytest.raises(ScenarioError) as caught:
        run(small, out=tmp_path, overwrite=True)
    (line,) = caught.value.problems
    assert line.startswith(f"{folder}: in use: process {process.pid} on ")
    assert main(["report", str(folder)]) == 0
    assert f"still running, shown as far as it got: process {process.pid} on" in (
        capsys.readouterr().out
    )
    assert path.exists()
    folder.rename(tmp_path / "moved")
    folder.mkdir()
    out, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.startswith(
        f"airtune: local seed 1: failed: {path.parent}: no longer the folder of this run: "
        "it was removed, moved or replaced"
    )
    assert said.count("\n") == 1
    assert out == ""
    assert list(folder.iterdir()) == []


def test_a_full_disk_ends_a_study_in_one_line_with_its_rows_and_status(tmp_path):
    """No file may grow beyond 70 kB, which the rows of endless rounds reach."""
    command = [sys.executable, "-c", LIMITED, "run", STUDY, "--out", str(tmp_path)]
    command += options([*SMALL, "server.num_rounds=100000", "seeds=[1]"])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    path = tmp_path / "small" / "local" / "seed1" / "rounds.csv"
    begin, _, reason = done.stderr.partition(".csv: cannot be written: ")
    assert begin.startswith(f"airtune: local seed 1: failed: {path.parent}")
    assert reason.startswith("File too large")
    assert done.stderr.count("\n") == 1
    assert done.returncode == 1
    manifest = json.loads((tmp_path / "small" / "manifest.json").read_text())
    assert manifest["status"] == "failed"
    assert [entry["status"] for entry in manifest["runs"]] == ["failed", "waiting", "waiting"]
    assert len(rows(path)) > 10
    assert main(["report", str(tmp_path / "small")]) == 0


LIMITED = (
    "import resource, sys\nfrom scenarios.cli import main\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000))\n"
    "sys.exit(main())\n"
)


@pytest.mark.parametrize("jobs", [0, -1, 1.5, True])
def test_a_number_of_jobs_that_is_none_leaves_nothing(small, tmp_path, jobs):
    with pytest.raises(ScenarioError, match="jobs: must be a whole number >= 1, got"):
        run(small, out=tmp_path / "out", jobs=jobs)
    assert not (tmp_path / "out").exists()
