"""``--log FILE``: a line for every event, whatever becomes of the disk."""

import contextlib
import datetime
import re

import pytest

from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.log_file import LogFile
from scenarios.progress import RunProgress, RunStart
from tests.scenarios.conftest import SMALL, STUDY, options

STEP = RunProgress(variant="fedit", seed=2, round=3, num_rounds=9, simulated_s=1.5, energy_j=20.0,
                   metric="accuracy", value=0.25)  # fmt: skip


def test_a_study_leaves_a_line_for_each_event(tmp_path, capsys):
    path = tmp_path / "study.log"
    words = ["run", STUDY, *options(SMALL), "--set", "methods=[{kind: head}]", "--seeds", "1"]
    words += ["--no-store", "--log", str(path), "--out", str(tmp_path / "out")]
    assert main(words) == 0
    capsys.readouterr()
    lines = path.read_text("utf-8").splitlines()
    told = [line.partition(" ")[2] for line in lines]
    assert told[0] == "Head seed 1: begins, 2 rounds"
    assert re.fullmatch(
        r"Head seed 1: round 1 of 2, [\d.]+ s simulated [\d.]+ J accuracy [\d.]+, [\d.]+ s of host "
        r"time, \d+ s left",
        next(line for line in told if "round 1 of" in line),
    )
    assert re.match(r"Head seed 1: done in [\d.]+ s of host time; [\d.]+ s simulated", told[-1])
    for line in lines:
        assert datetime.datetime.fromisoformat(line.partition(" ")[0]).tzinfo is not None


def test_lines_are_added_to_what_is_there_and_a_stop_is_noted(tmp_path):
    path = tmp_path / "a.log"
    path.write_text("before\n", "utf-8")
    with contextlib.suppress(KeyboardInterrupt), LogFile(path) as log:
        log.begin(RunStart(variant="a\nb", seed=1, num_rounds=2))
        log.advance(STEP)
        log.finish("fedit", 2, "failed", 4.0)
        raise KeyboardInterrupt
    lines = path.read_text("utf-8").splitlines()
    assert lines[0] == "before"
    assert len(lines) == 5
    assert lines[2].endswith("s left")
    assert lines[3].endswith("fedit seed 2: failed after 4.0 s of host time; "
                             "1.5 s simulated 20.0 J accuracy 0.250")  # fmt: skip
    assert lines[4].endswith("stopped: KeyboardInterrupt")


def test_a_log_that_cannot_be_opened_is_refused_before_anything_runs(tmp_path, capsys):
    with pytest.raises(ScenarioError, match=r"--log .*: cannot be written: No such file"):
        LogFile(tmp_path / "nowhere" / "a.log")
    assert main(["run", STUDY, "--log", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "--log" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_full_disk_does_not_stop_a_study(tmp_path, file_limit):
    with file_limit(100), LogFile(tmp_path / "a.log") as log:
        for _ in range(50):
            log.advance(STEP)
