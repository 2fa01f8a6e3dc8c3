"""Rounds against Flower's simulation engine: ``python -m benchmarks.flower --python PYTHON``.

``PYTHON`` is that of an environment with ``flwr[simulation]``, torch, transformers and peft, whose
versions of the last three should be those of this one. Both train BERT of 4 layers of width 128
with LoRA of rank 8 from the same values on the same batches: 10 of 50 clients a round, 8 steps of
16 texts of 32 tokens. Flower runs clients on as many of its processes as there are cores, we on
``--executor process``.

A round is the median over the later rounds, starts left out. A whole run begins with the start of
Python and ends with its last line: four rounds in a process of its own; ours is ``airtune run``,
which simulates the network, counts joules, and writes rows and figures as well.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.backend import (
    BATCH_SIZE,
    NUM_CLIENTS,
    RANK,
    RATE,
    STEPS,
    bert,
    jobs_of,
    run_round,
    study_of,
)
from fl.execution.processes import ProcessExecutor
from fl.execution.worker_pool import WorkerPool
from fl.training.batches import plan_batches
from fl.training.job import TrainJob
from fl.training.worker import Worker
from scenarios.load import load
from scenarios.prepare import recipe_of
from scenarios.variants import variants

NUM_ROUNDS = 4
POPULATION = 50
REPEATS = 5


def write_batches(folder: Path, worker: Worker[Any], jobs: list[TrainJob]) -> None:
    """Write the batches of each job, and the settings, as Flower's app reads them."""
    for place, job in enumerate(jobs):
        plan = plan_batches(
            job.samples, batch_size=BATCH_SIZE, local_steps=STEPS, local_epochs=None, seed=job.seed
        )
        batches = [worker.train.batch(indices) for indices in plan]
        np.savez(
            folder / f"client_{place}.npz",
            ids=np.stack([batch.input_ids.numpy() for batch in batches]),
            mask=np.stack([batch.attention_mask.numpy() for batch in batches]),
            labels=np.stack([batch.labels.numpy() for batch in batches]),
        )
    settings = {
        "num_classes": int(worker.train.labels.max()) + 1,
        "rank": RANK,
        "learning_rate": RATE,
        "num_files": len(jobs),
        "num_clients": POPULATION,
        "clients_a_round": NUM_CLIENTS,
    }
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")


def flower(folder: Path, python: str) -> dict[str, Any]:
    """Run the app of Flower in its own environment."""
    # by its name, so that Flower's processes can import what the app is made of
    start = "import flower_app; flower_app.main()"
    path = f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [python, "-c", start, str(folder), str(NUM_ROUNDS)],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "FLWR_TELEMETRY_ENABLED": "0",
            "PYTHONPATH": path,
        },
    )
    if done.returncode:
        sys.exit(f"flower: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def ours(study: Path, folder: Path, num_workers: int) -> float:
    """Return the seconds of a whole run of as many rounds, with nothing in the store."""
    command = [sys.executable, "-m", "scenarios.cli", "run", str(study)]
    command += ["--executor", "process", "--workers", str(num_workers)]
    command += ["--no-store", "--out", str(folder / "out"), "--overwrite"]
    started_s = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started_s


def measure(python: str) -> dict[str, Any]:
    """Return host seconds of both, and their ratios."""
    num_workers = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bert(folder).rename(folder / "model")
        study = study_of(folder, folder / "model", num_rounds=NUM_ROUNDS)
        [variant] = variants(load(study))
        recipe = recipe_of(variant.scenario, seed=1)
        worker = recipe.build()
        jobs = jobs_of(worker)
        write_batches(folder, worker, jobs)
        pool = WorkerPool(num_workers)
        found_s = []
        for repeat in range(REPEATS + 1):
            started_s = time.perf_counter()
            run_round(ProcessExecutor(pool.here, recipe), jobs)
            if repeat:  # the first starts processes
                found_s.append(time.perf_counter() - started_s)
        pool.close()
        theirs = [flower(folder, python) for _ in range(2)]
        whole_s = [ours(study, folder, num_workers) for _ in range(2)]
    round_s = statistics.median(found_s)
    their_round_s = statistics.median(each for run in theirs for each in run["round_s"][1:])
    their_whole_s = min(run["whole_s"] for run in theirs)
    return {
        "round_s": round(round_s, 3),
        "flower_round_s": round(their_round_s, 3),
        "round_ratio": round(their_round_s / round_s, 2),
        "whole_s": round(min(whole_s), 2),
        "flower_whole_s": round(their_whole_s, 2),
        "whole_ratio": round(their_whole_s / min(whole_s), 2),
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--python", required=True, help="of the environment with Flower")
    print(json.dumps(measure(parser.parse_args().python), indent=1))


if __name__ == "__main__":
    main()
