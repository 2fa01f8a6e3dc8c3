"""Speed and memory of a report: ``python -m benchmarks.report [--runs NUM] [--profile]``.

Prints one JSON object: wall seconds from the start of a process, imports included, to the report of
a made-up study, and the largest memory that the process had. The study has 20 variants of 5 seeds
(4 methods in 5 settings), 100 rounds a run and 100 clients a round, so 1 million participations and
2 million transfers, with places of clients at every transfer.
"""

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

STARTED_S = time.perf_counter()
TARGET_S, TARGET_BYTES = 30.0, 1_000_000_000
NUM_METHODS, NUM_SEEDS = 4, 5
NUM_ROUNDS, NUM_CLIENTS = 100, 100
TARGET = 0.7


def write_study(folder: Path, *, num_runs: int) -> None:
    """Write a study of ``num_runs`` runs, with the files that a run in cells leaves."""
    methods = [("fedit", "FedIT"), ("ffa_lora", "FFA-LoRA"), ("fedtt", "FedTT"), ("pftt", "PFTT")]
    num_settings = max(num_runs // (NUM_METHODS * NUM_SEEDS), 1)
    variants, runs = [], []
    for place, (method, label) in enumerate(methods):
        for setting in range(num_settings):
            bandwidth_hz = 5e6 * (setting + 1)
            name = f"{method}--bandwidth_hz={bandwidth_hz:.0f}"
            variants.append(
                {
                    "name": name,
                    "label": f"{label}, {bandwidth_hz / 1e6:.0f} MHz",
                    "method": method,
                    "knobs": {"radio.bandwidth_hz": bandwidth_hz},
                }
            )
            for seed in range(1, NUM_SEEDS + 1):
                rng = np.random.default_rng([place, setting, seed])
                for kind, rows in _run(rng, pace=8.0 + 4 * place + setting).items():
                    path = folder / name / f"seed{seed}" / f"{kind}.csv"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    rows.to_csv(path, index=False, float_format="%.6g")
                runs.append({"variant": name, "seed": seed, "status": "done"})
    manifest = {
        "name": "many_runs",
        "status": "done",
        "seeds": list(range(1, NUM_SEEDS + 1)),
        "variants": variants,
        "targets": {"accuracy": TARGET},
        "runs": runs,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "scenario.yaml").write_text("name: many_runs\n", encoding="utf-8")


def _run(rng: np.random.Generator, *, pace: float) -> dict[str, pd.DataFrame]:
    """Make the rows of one run; the accuracy is 63 % of the way after ``pace`` rounds."""
    shape = (NUM_ROUNDS, NUM_CLIENTS)
    down_s, up_s = rng.exponential(2.0, shape), rng.exponential(8.0, shape)
    compute_s = rng.lognormal(2.3, 0.5, NUM_CLIENTS) * np.ones(shape)
    round_s = (down_s + compute_s + up_s).max(axis=1)
    finished_s = np.cumsum(round_s)
    asked_s = np.repeat(finished_s - round_s, NUM_CLIENTS)
    client_id, number = np.tile(np.arange(NUM_CLIENTS), NUM_ROUNDS), np.arange(1, NUM_ROUNDS + 1)
    down, compute, up = down_s.ravel(), compute_s.ravel(), up_s.ravel()
    is_lost = rng.random(client_id.size) < 0.03
    radio_j, compute_j = 0.8 * down + 1.1 * up, 3.0 * compute
    wasted_j = np.where(is_lost, radio_j + compute_j, 0.0)
    clients = pd.DataFrame(
        {
            "participation_id": np.arange(client_id.size),
            "round": np.repeat(number, NUM_CLIENTS),
            "client_id": client_id,
            "outcome": np.where(is_lost, "dropped:uplink:timeout", "received"),
            "download_s": down,
            "compute_s": compute,
            "upload_s": np.where(is_lost, np.nan, up),
            "compute_j": compute_j,
            "radio_j": radio_j,
            "wasted_j": wasted_j,
            "train_loss": np.where(is_lost, np.nan, rng.random(client_id.size)),
            "staleness": 0,
        }
    )
    transfers = pd.concat(
        [
            _transfers(rng, clients, "downlink", asked_s=asked_s, lasts_s=down),
            _transfers(rng, clients, "uplink", asked_s=asked_s + down + compute, lasts_s=up),
        ]
    ).sort_values("requested_at_s")
    sent = np.cumsum(np.full(NUM_ROUNDS, 6e5 * NUM_CLIENTS)).astype("int64")
    energy_j = np.cumsum((radio_j + compute_j).reshape(shape).sum(axis=1))
    rounds = pd.DataFrame(
        {
            "round": number,
            "started_at_s": finished_s - round_s,
            "finished_at_s": finished_s,
            "num_selected": NUM_CLIENTS,
            "num_received": NUM_CLIENTS,
            "num_late": 0,
            "num_failed": is_lost.reshape(shape).sum(axis=1),
            "uplink_bytes": sent,
            "downlink_bytes": sent,
            "energy_j": energy_j,
            "site_energy_j": 130.0 * finished_s,
            "wasted_j": np.cumsum(wasted_j.reshape(shape).sum(axis=1)),
        }
    )
    place = pd.DataFrame(
        {
            "at_s": transfers["requested_at_s"],
            "client_id": transfers["client_id"],
            "x_m": rng.uniform(-400, 400, len(transfers)),
            "y_m": rng.uniform(-400, 400, len(transfers)),
        }
    )
    return {
        "devices": _devices(),
        "rounds": rounds,
        "clients": clients,
        "transfers": transfers,
        "evaluations": _evaluations(rng, rounds, pace=pace),
        "energy": _energy(finished_s[-1]),
        "positions": place,
        "sites": pd.DataFrame({"site_id": [0, 1], "x_m": [-200.0, 200.0], "y_m": 0.0}),
    }


def _transfers(
    rng: np.random.Generator,
    clients: pd.DataFrame,
    direction: str,
    *,
    asked_s: np.ndarray,
    lasts_s: np.ndarray,
) -> pd.DataFrame:
    """Make one transfer a participation."""
    is_lost = (clients["outcome"] != "received").to_numpy() & (direction == "uplink")
    return pd.DataFrame(
        {
            "participation_id": clients["participation_id"],
            "client_id": clients["client_id"],
            "direction": direction,
            "size_bytes": 600_000,
            "requested_at_s": asked_s,
            "started_at_s": asked_s,
            "finished_at_s": asked_s + lasts_s,
            "cell_id": rng.integers(6, size=len(clients)),
            "mean_sinr_db": rng.normal(10.0, 6.0, len(clients)),
            "num_resource_blocks": rng.integers(1, 52, len(clients)),
            "retransmissions": 0,
            "handovers": 0,
            "energy_j": lasts_s,
            "status": np.where(is_lost, "timeout", "delivered"),
        }
    )


def _devices() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "client_id": np.arange(NUM_CLIENTS),
            "device": "phone_mid",
            "flop_per_s": 1e10,
            "low_flop_per_s": 5e9,
            "high_flop_per_s": 3e10,
            "compute_w": 3.0,
            "low_w": 2.4,
            "high_w": 3.6,
            "battery_wh": 17.0,
        }
    )


def _evaluations(rng: np.random.Generator, rounds: pd.DataFrame, *, pace: float) -> pd.DataFrame:
    """Make one evaluation a round of the global model and of personal ones."""
    parts = []
    for split, bonus in (("global", 0.0), ("personal", 0.02)):
        rise = 1.0 - np.exp(-rounds["round"] / pace)
        part = rounds[["round", "energy_j", "site_energy_j", "uplink_bytes", "downlink_bytes"]]
        part = part.assign(at_s=rounds["finished_at_s"], metric="accuracy", split=split)
        part["mean"] = 0.22 + 0.6 * rise + bonus + rng.normal(0.0, 0.006, len(rounds))
        part["std"] = 0.03
        part["worst10"] = part["mean"] - 0.05
        parts.append(part.assign(n=NUM_CLIENTS))
    return pd.concat(parts).sort_values("round", kind="stable")


def _energy(now_s: float) -> pd.DataFrame:
    rows = [
        {"owner": f"client:{client}", "activity": activity, "seconds": now_s / 4, "energy_j": 9.0}
        for client in range(NUM_CLIENTS)
        for activity in ("tx", "rx", "idle", "compute")
    ]
    return pd.DataFrame(rows)


def measure(folder: Path, *, has_profile: bool = False) -> dict[str, Any]:
    """Write the report in this process; the seconds count from its start."""
    from analysis.report import write_report  # noqa: PLC0415 -- importing counts

    with cProfile.Profile(builtins=False) as profile:
        if not has_profile:
            profile.disable()
        page = write_report(folder).index
    if has_profile:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("cumulative").print_stats(70)
    seconds, peak_bytes = time.perf_counter() - STARTED_S, _peak_bytes()
    return {
        "report_s": round(seconds, 1),
        "processor_s": round(time.process_time(), 1),
        "peak_bytes": peak_bytes,
        "page_bytes": page.stat().st_size,
        "is_within_target": seconds <= TARGET_S and peak_bytes <= TARGET_BYTES,
    }


def _peak_bytes() -> int:
    """Return the largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def main() -> None:
    """Print the figures; the study is written by a process of its own."""
    parser = argparse.ArgumentParser(description="Speed and memory of a report.")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="of a study made before")
    parser.add_argument("--make", type=Path, help="only make the study here")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    if given.folder:
        print(json.dumps(measure(given.folder, has_profile=given.profile)))
    elif given.make:
        write_study(given.make, num_runs=given.runs)
    else:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.report"]
            made = [*command, "--make", folder, "--runs", str(given.runs)]
            subprocess.run(made, check=True)
            subprocess.run([*command, "--folder", folder], check=True)


if __name__ == "__main__":
    main()
