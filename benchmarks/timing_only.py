"""Speed of runs without training: ``python -m benchmarks.timing_only CASE`` prints one as JSON.

All rows are written. Processor seconds are taken at the ends of rounds, memory at the end of the
middle one and of the last; starting is left out. 10 of 100 clients a round, chosen at random, send
FedTT on ``tiny-encoder``; in the cases of split training they have 8 steps that go to the server
and back, each two transfers.
``python -m benchmarks.federation`` runs each case in a process of its own.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from scenarios import load
from scenarios.heavy_imports import heavy_imports
from scenarios.task import RunTask
from scenarios.variants import variants

CLIENTS_PER_ROUND = 10
EARLY_ROUND = 10
HALF_WINDOW = 9
"""The time of a round is the median over it and this many before and after."""
_COMMON = """
name: timing
seeds: [1]
clients: {num_clients: 100, devices: {phone_mid: 0.5, phone_high: 0.3, laptop: 0.2}}
data: {source: docstrings, partition: {kind: iid}, max_train_texts: 3000, max_test_texts: 800}
model: {name: tiny-encoder}
training: {mode: none, local_steps: 8, batch_size: 16}
server: {mode: sync, num_rounds: ROUNDS, policy: {kind: random, num_clients: 10}}
methods: [METHOD]
"""
_FEDTT = "{kind: fedtt, rank: 3, adapter_dim: 16, classifier: linear}"
_SPLIT = "{kind: splitlora, activations: fp16, server_flop_per_s: 1e12}"
_RADIO = """
world: {environment: uma, layout: LAYOUT, carrier_hz: 3.5e9, mobility: MOBILITY}
radio: {bandwidth_hz: 20e6, subcarrier_spacing_hz: 30e3, fading: FADING, scheduler: SCHEDULER}
"""
_STANDING = _RADIO.replace("MOBILITY", "{kind: static}").replace("FADING", "{kind: none}")
_WALKING = _RADIO.replace("MOBILITY", "{kind: random_waypoint}").replace("FADING", "{kind: tdl}")
_ONE_CELL, _SITES = "{kind: single_cell}", "{kind: hexagonal, num_sites: 19, isd_m: 500}"
_CONSTANT = "network: {kind: constant, uplink_rate_bps: 10e6, downlink_rate_bps: 50e6}"
_ONE_STANDING = _STANDING.replace("LAYOUT", _ONE_CELL).replace("SCHEDULER", "round_robin")
CASES: dict[str, tuple[int, str]] = {
    "constant": (3000, _CONSTANT),
    "constant_split": (300, _CONSTANT),
    "one_cell_standing": (3000, _ONE_STANDING),
    "one_cell_standing_split": (40, _ONE_STANDING),
    "one_cell_walking_tdl": (
        40,
        _WALKING.replace("LAYOUT", _ONE_CELL).replace("SCHEDULER", "proportional_fair"),
    ),
    "57_cells_standing": (
        300,
        _STANDING.replace("LAYOUT", _SITES).replace("SCHEDULER", "round_robin"),
    ),
}
"""Rounds and network of each case."""


def measure(case: str, *, num_rounds: int | None = None) -> dict[str, Any]:
    """Run a case in this process.

    Parameters
    ----------
    case
        One of ``CASES``.
    num_rounds
        Instead of those of the case; more than ``EARLY_ROUND + HALF_WINDOW``.
    """
    with heavy_imports():  # as the command line has them
        from scenarios.single import run_single  # noqa: PLC0415
    rounds, network = CASES[case]
    rounds = num_rounds or rounds
    ends_s: list[float] = []
    resident_bytes: list[int] = []

    def note(_: object) -> None:
        ends_s.append(time.process_time())
        if len(ends_s) in (rounds // 2 + 1, rounds + 1):  # the start is noted, too
            pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
            resident_bytes.append(pages * os.sysconf("SC_PAGE_SIZE"))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "timing.yaml"
        method = _SPLIT if case.endswith("_split") else _FEDTT
        study = _COMMON.replace("ROUNDS", str(rounds)).replace("METHOD", method)
        path.write_text(study + network, encoding="utf-8")
        [variant] = variants(load(path))
        run_single(RunTask(variant=variant, seed=1, folder=Path(folder) / "run"), note)
    lengths_s = [after - before for before, after in pairwise(ends_s)]
    window = 2 * HALF_WINDOW + 1
    first = EARLY_ROUND - HALF_WINDOW - 1
    early_s = statistics.median(lengths_s[first : first + window])
    late_s = statistics.median(lengths_s[-window:])
    return {
        "num_rounds": rounds,
        "client_rounds_per_s": round(CLIENTS_PER_ROUND * len(lengths_s) / sum(lengths_s), 1),
        "late_per_early_round": round(late_s / early_s, 2),
        "grown_bytes_per_round": round(
            (resident_bytes[-1] - resident_bytes[0]) / (rounds - rounds // 2)
        ),
    }


def measure_apart(case: str) -> dict[str, Any]:
    """Run a case in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.timing_only", case]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Print the figures of one case."""
    parser = argparse.ArgumentParser(description="Speed of a run without training.")
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    print(json.dumps(measure(options.case, num_rounds=options.rounds)))


if __name__ == "__main__":
    main()
