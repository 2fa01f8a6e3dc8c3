"""One store: two studies at once, and one whose disk is full after two megabytes."""

import json
import shutil
import subprocess
import sys

import pytest

from fl.execution.store_upkeep import facts, verify
from tests.scenarios.conftest import options
from tests.scenarios.test_earlier_runs import BASE, rows

TRAINED = (*BASE, "seeds=[1]", "training={local_steps: 1, batch_size: 4}")
COMMAND = [sys.executable, "-m", "scenarios.cli", "run", "quickstart"]
SMALL_DISK = 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"'


def command(out, store, *settings):
    return [
        *COMMAND,
        *options([*TRAINED, *settings]),
        *("--out", str(out), "--json"),
        *(("--no-store",) if store is None else ("--store", str(store))),
    ]


def jobs_of(out):
    """Training jobs that were asked for, and those that were run, all runs of a study."""
    runs = json.loads((out / "small" / "manifest.json").read_text())["runs"]
    return [sum(entry[f"num_jobs_{what}"] for entry in runs) for what in ("submitted", "computed")]


def test_two_studies_at_once_have_the_same_rows_and_lose_no_job(tmp_path):
    store, outs = tmp_path / "store", [tmp_path / name for name in "ab"]
    settings = ("server.num_rounds=6", "methods=[{kind: fedit}]")
    both = [subprocess.Popen(command(out, store, *settings)) for out in outs]
    assert [process.wait() for process in both] == [0, 0]
    assert rows(outs[0] / "small" / "fedit") == rows(outs[1] / "small" / "fedit") != {}
    (asked, first), (asked_too, second) = map(jobs_of, outs)
    assert asked == asked_too
    # what both begin at the same time is run twice, with one result; nothing is run a third time
    assert asked <= first + second <= 2 * asked
    num_whole, damaged = verify(store)
    assert (num_whole, damaged) == (facts(store).num_entries, [])
    assert num_whole >= asked
    assert not list(store.rglob("*.part"))
    subprocess.run(command(tmp_path / "c", store, *settings), check=True)
    assert jobs_of(tmp_path / "c") == [asked, 0]
    assert facts(store).num_entries == num_whole
    assert rows(tmp_path / "c" / "small" / "fedit") == rows(outs[0] / "small" / "fedit")


def test_a_store_on_a_disk_of_two_megabytes_ends_in_a_line_and_goes_on(tmp_path):
    store, out = tmp_path / "store", tmp_path / "out"
    store.mkdir()
    apart = ["unshare", "-rm", "sh", "-c", SMALL_DISK, str(store)]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("a small disk needs mounts of a user's own")
    settings = ("server.num_rounds=6", "methods=[{kind: fedit, rank: 64}]")
    full = subprocess.run(
        [*apart, *command(out, store, *settings)], capture_output=True, text=True, check=False
    )
    assert full.returncode == 1
    assert full.stderr.startswith("airtune: ")
    assert full.stderr.count("\n") == 1
    told = "a result cannot be kept: No space left on device; free space, use --store"
    assert told in full.stderr
    begun = rows(out / "small" / "fedit")
    evaluated = next(content for path, content in begun.items() if path.name == "evaluations.csv")
    assert evaluated.count(b"\n") > 2  # rows of the rounds before
    for folder, kept in ((out, tmp_path / "roomy"), (tmp_path / "plain", None)):
        subprocess.run(command(folder, kept, *settings), check=True)
    whole = rows(out / "small" / "fedit")
    assert whole == rows(tmp_path / "plain" / "small" / "fedit")
    for path, content in begun.items():
        if path.name in {"rounds.csv", "evaluations.csv"}:
            assert whole[path].startswith(content)
