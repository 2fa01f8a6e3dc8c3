"""Where host time went is told, of runs that were done now."""

import time

import pytest

from scenarios import run
from scenarios.host_time import PARTS, SIMULATION, HostTime, Stopwatch
from scenarios.load import load
from tests.scenarios.test_earlier_runs import BASE


def entry(total_s, **parts):
    return {"host_total_s": total_s, **{name: parts.get(name, 0.0) for name in PARTS}}


def test_parts_add_up():
    found = Stopwatch().read([entry(6.0, host_train_s=3.0), entry(2.0, host_start_s=1.0)])
    assert found.fractions["training"] == pytest.approx(3 / 8)
    assert found.fractions["starting"] == pytest.approx(1 / 8)
    assert found.fractions[SIMULATION] == pytest.approx(4 / 8)
    assert sum(found.fractions.values()) == pytest.approx(1.0)


def test_no_runs_no_time():
    assert Stopwatch().read([]) is None


def test_cores_that_wait_are_not_used():
    watch = Stopwatch()
    time.sleep(0.2)
    idle = watch.read([entry(1.0)])
    until_s = time.process_time() + 0.2
    while time.process_time() < until_s:
        pass
    busy = watch.read([entry(1.0)])
    assert idle.num_cores == busy.num_cores >= 1
    assert 0 <= idle.used_fraction < busy.used_fraction <= 1


def test_the_line_names_the_largest_part_first():
    parts = {"training": 0.301, "evaluation": 0.001, SIMULATION: 0.698}
    told = HostTime(fractions=parts, num_cores=4, used_fraction=0.254).line()
    assert told == "host time: 70 % simulation, 30 % training; 25 % of 4 cores used"
    assert (
        HostTime(fractions=parts, num_cores=1, used_fraction=1.0)
        .line()
        .endswith("; 100 % of the core used")
    )


def test_of_a_study(tmp_path):
    study = load("quickstart", [*BASE, "seeds=[1]", "methods=[{kind: head}]"])
    assert sum(run(study, out=tmp_path).host_time.fractions.values()) == pytest.approx(1.0)
    assert run(study, out=tmp_path).host_time is None, "nothing was done now"
