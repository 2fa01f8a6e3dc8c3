"""A study that is killed at any moment is gone on with: same rows, no finished job run twice."""

import json
import subprocess
import sys

import pytest

from tests.scenarios.test_earlier_runs import BASE

MODES = {
    "sync": "server={mode: sync, num_rounds: 3, policy: {kind: random, num_clients: 2}}",
    "deadline": "server={mode: deadline, deadline_s: 0.6, num_rounds: 3, "
    "policy: {kind: random, num_clients: 3}}",
    "fedbuff": "server={mode: fedbuff, buffer_size: 2, num_rounds: 3, "
    "policy: {kind: random, num_clients: 3}}",
}


def kills(place, mode, *, num_kills, seed=1):
    settings = [
        *BASE,
        "seeds=[1]",
        "server=null",
        MODES[mode],
        "training={local_steps: 1, batch_size: 4}",
    ]
    spec = {"settings": settings, "place": str(place), "seed": seed, "num_kills": num_kills}
    done = subprocess.run(
        [sys.executable, "-m", "tests.scenarios.killing", json.dumps(spec)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def check(found, num_kills):
    assert len(found) == num_kills
    for each in found:
        assert each["status"] == "done", each
        assert each["are_rows_equal"], each
        assert each["are_jobs_equal"], each
        # one may have been under way, or done and not kept yet
        assert each["num_begun_twice"] <= 1, each


def test_a_killed_study_goes_on(tmp_path):
    check(kills(tmp_path, "sync", num_kills=5), 5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_fifty_kills_of_every_kind(mode, tmp_path):
    found = kills(tmp_path, mode, num_kills=50, seed=2)
    check(found, 50)
    assert {0, 1} <= {each["num_kept"] for each in found}
