"""Start of a run of very many clients: ``python -m benchmarks.many_clients [--clients NUM]``.

Prints one JSON object: wall seconds from the start of this process, imports included, to the first
round, and the largest memory that the process had by its end. Clients have batteries and come and
go; links are constant and nothing is trained. All rows are written, one a device among them.
``python -m benchmarks.federation`` runs it in a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STARTED_S = time.perf_counter()
NUM_CLIENTS = 1_000_000
TARGET_S, TARGET_BYTES = 60.0, 4_000_000_000
SCENARIO = """
name: many_clients
seeds: [1]
clients:
  num_clients: NUM_CLIENTS
  devices: {phone_mid: 0.5, phone_high: 0.3, laptop: 0.2}
  battery: {start_level: 0.7, start_level_spread: 0.2}
  availability: {kind: markov, mean_on_s: 3600, mean_off_s: 3600}
data: {source: docstrings, partition: {kind: sampled, num_texts: 20}, max_train_texts: 3000, max_test_texts: 800}
model: {name: tiny-encoder}
training: {mode: none, local_steps: 8, batch_size: 16}
server: {mode: sync, num_rounds: 3, policy: {kind: random, num_clients: 100}}
methods: [{kind: fedtt, rank: 3, adapter_dim: 16, classifier: linear}]
network: {kind: constant, uplink_rate_bps: 10e6, downlink_rate_bps: 50e6}
"""  # noqa: E501 -- a scenario file


def measure(num_clients: int) -> dict[str, Any]:
    """Run three rounds in this process; the seconds count from its start."""
    from scenarios import load  # noqa: PLC0415 -- importing is a part of the start
    from scenarios.single import run_single  # noqa: PLC0415
    from scenarios.task import RunTask  # noqa: PLC0415
    from scenarios.variants import variants  # noqa: PLC0415

    told_s: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many_clients.yaml"
        path.write_text(SCENARIO.replace("NUM_CLIENTS", str(num_clients)), encoding="utf-8")
        [variant] = variants(load(path))
        task = RunTask(variant=variant, seed=1, folder=Path(folder) / "run")
        run_single(task, lambda _: told_s.append(time.perf_counter()))
    start_s, peak_bytes = told_s[0] - STARTED_S, _peak_bytes()
    return {
        "num_clients": num_clients,
        "start_s": round(start_s, 1),
        "round_s": round((told_s[-1] - told_s[0]) / (len(told_s) - 1), 2),
        "peak_bytes": peak_bytes,
        "is_within_target": start_s <= TARGET_S and peak_bytes <= TARGET_BYTES,
    }


def _peak_bytes() -> int:
    """Return the largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def measure_apart(num_clients: int = NUM_CLIENTS) -> dict[str, Any]:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.many_clients", "--clients", str(num_clients)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Start of a run of very many clients.")
    parser.add_argument("--clients", type=int, default=NUM_CLIENTS)
    print(json.dumps(measure(parser.parse_args().clients)))


if __name__ == "__main__":
    main()
