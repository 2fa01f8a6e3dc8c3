"""Studies that are killed at an operation on files, and gone on with: ``python -m ... SPEC``.

One process loads everything and forks for each start of a study, so that a kill costs no imports.
Operations on files are counted; at the chosen one the process kills itself, in the middle of a row
if rows are written. Every training job that begins leaves its digest in a log.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from fl.execution import executor
from fl.training.job import TrainJob
from scenarios import run
from scenarios.load import load
from scenarios.results import RowWriter

COUNTED = ("replace", "unlink", "mkdir", "write_bytes", "rmdir", "touch")


def start(spec, out, *, kill_at=None, log):
    """Fork, run the study; return its operations, or None where it was killed."""
    told, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(told)
        count = _count(kill_at)
        _log_jobs(log)
        study = load("quickstart", spec["settings"])
        result = run(study, out=out, store=Path(out) / "store")
        os.write(theirs, json.dumps([count[0], result.status, result.num_kept]).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(told) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert status == 0, text
    return json.loads(text)


def _count(kill_at):
    count = [0]

    def is_due():
        count[0] += 1
        return count[0] == kill_at

    def counting(function):
        def call(self, *args, **kwargs):
            if is_due():
                os.kill(os.getpid(), signal.SIGKILL)
            return function(self, *args, **kwargs)

        return call

    for name in COUNTED:
        setattr(Path, name, counting(getattr(Path, name)))
    write = RowWriter.write

    def write_rows(self, rows):
        if is_due():
            write(self, rows)
            os.truncate(self._path, max(self._path.stat().st_size - 7, 0))
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, rows)

    RowWriter.write = write_rows
    return count


def _log_jobs(log):
    run_job = executor.run_job

    def logged(job, worker):
        if isinstance(job, TrainJob):
            with log.open("a") as file:
                file.write(f"{job.digest()}\n")
        return run_job(job, worker)

    executor.run_job = logged


def rows(folder):
    paths = sorted((folder / "small").rglob("*.csv"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def main():
    """Print one JSON object a kill: what was kept, whether rows are the same, jobs run twice."""
    spec = json.loads(sys.argv[1])
    place = Path(spec["place"])
    num_operations, _, _ = start(spec, place / "whole", log=place / "whole.log")
    wanted = rows(place / "whole")
    jobs = (place / "whole.log").read_text().split()
    rng = np.random.default_rng(spec["seed"])
    points = rng.choice(num_operations, size=spec["num_kills"], replace=False) + 1
    for kill_at in points.tolist():
        out, log = place / f"killed{kill_at}", place / f"killed{kill_at}.log"
        assert start(spec, out, kill_at=kill_at, log=log) is None
        _, status, num_kept = start(spec, out, log=log)
        begun = log.read_text().split()
        found = {
            "kill_at": kill_at,
            "of": num_operations,
            "status": status,
            "num_kept": num_kept,
            "are_rows_equal": rows(out) == wanted,
            "are_jobs_equal": set(begun) == set(jobs),
            "num_begun_twice": len(begun) - len(set(begun)),
        }
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
