"""Speed of a federation: ``python -m benchmarks.federation [--json] [--clients NUM] [POLICY ...]``.

Decisions: host milliseconds in which each policy selects among 100,000 candidates of 57 cells, its
answer checked. Links are arrays at hand, as from cached gains; all that a policy derives from them
counts. Every second client has taken part. Clients that are asked for losses answer at once.

Unless policies are named: runs without training (:mod:`benchmarks.timing_only`), and the start of a
run of a million clients (:mod:`benchmarks.many_clients`).
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import many_clients
from benchmarks.timing_only import CASES, measure_apart
from fl.policies import POLICIES, build_policy
from fl.policies.answer import checked_questions, checked_selection
from fl.policies.view import AskingPolicy, Candidates, ClientIds, PerClient, Selection

NUM_CELLS = 57
TARGET_MS = 50.0
REPEATS = 5
SETTINGS: dict[str, dict[str, Any]] = {
    "all": {},
    "fedcs": {"round_s": 180.0},
    "power_of_choice": {"num_clients": 20, "num_candidates": 60},
    "lyapunov": {"num_clients": 20, "budget_j": 50.0},
    "knapsack": {"budget_j": 2000.0},
}
"""Settings by policy; of all others 20 clients a round."""


class Links:
    """A table of links at hand."""

    def __init__(self, num: int, rng: np.random.Generator) -> None:
        is_covered = rng.random(num) < 0.98
        self.cell_id = np.where(is_covered, rng.integers(NUM_CELLS, size=num), -1)
        self.site_id = np.where(is_covered, self.cell_id // 3, -1)
        self.mean_snr_db = np.where(is_covered, rng.normal(10.0, 8.0, size=num), -np.inf)
        fading_db = 10 * np.log10(rng.exponential(size=num))
        self.snr_db = self.mean_snr_db + fading_db
        mbps = np.clip(np.log2(1 + 10 ** (np.where(is_covered, self.snr_db, 0.0) / 10)), 0.05, 8.0)
        self.uplink_rate_bps = np.where(is_covered, 5e6 * mbps, 0.0)
        self.downlink_rate_bps = np.where(is_covered, 15e6 * mbps, 0.0)
        self.uplink_w = np.where(is_covered, 1.5, 0.0)


class Foreseen:
    """Costs of a job of about 6 kJ at most, and payloads of 1.7 MB."""

    def __init__(self, num: int, rng: np.random.Generator) -> None:
        self._compute_s = rng.lognormal(np.log(30.0), 1.0, size=num)
        self._power_w = rng.uniform(2.0, 6.0, size=num)
        self._names = rng.choice(["phone_mid", "phone_high", "laptop"], size=num)

    def device(self, client_ids: ClientIds) -> np.ndarray:
        """Return classes."""
        return self._names[client_ids]

    def compute_s(self, client_ids: ClientIds) -> PerClient:
        """Return seconds."""
        return self._compute_s[client_ids]

    def compute_j(self, client_ids: ClientIds) -> PerClient:
        """Return joules."""
        return self._compute_s[client_ids] * self._power_w[client_ids]

    def download_bytes(self, client_ids: ClientIds) -> PerClient:
        """Return bytes."""
        return np.full(len(client_ids), 1.7e6)

    def upload_bytes(self, client_ids: ClientIds) -> PerClient:
        """Return bytes."""
        return np.full(len(client_ids), 1.7e6)


def views(num: int, *, seed: int = 1) -> list[Selection]:
    """Return what a policy sees in a few rounds; nothing that it derives is known yet."""
    rng = np.random.default_rng(seed)
    forecast, took_part = Foreseen(num, rng), rng.random(num) < 0.5
    capacity_j = np.full(num, 5e4)
    rounds = []
    for round_id in range(10, 10 + REPEATS + 1):
        links, last = Links(num, rng), rng.integers(1, round_id, size=num)
        known = {
            name: np.where(took_part, rng.uniform(0.5, top, size=num), np.nan)
            for name, top in (("last_loss", 3.0), ("last_rms_loss", 3.0), ("last_duration_s", 200))
        }
        candidates = Candidates(
            client_id=np.arange(num),
            num_samples=rng.integers(20, 400, size=num),
            times_selected=took_part.astype(np.int64),
            last_round=np.where(took_part, last, 0),
            last_received=np.where(took_part, last, 0),
            spent_j=np.where(took_part, 80.0 * (1 + last), 0.0),
            staleness=round_id - last,
            battery_j=capacity_j * rng.uniform(0.1, 1.0, size=num),
            battery_capacity_j=capacity_j,
            asked_loss=np.full(num, np.nan),
            asked_accuracy=np.full(num, np.nan),
            ask_links=lambda _, table=links: table,  # type: ignore[misc]
            forecast=forecast,
            **known,
        )
        rounds.append(Selection(round=round_id, now_s=60.0 * round_id, candidates=candidates))
    return rounds


def measure(kind: str, rounds: list[Selection]) -> dict[str, Any]:
    """Let a fresh policy select in each round; the first decision is told apart."""
    entry = POLICIES[kind]
    policy = build_policy(entry.config(**SETTINGS.get(kind, {"num_clients": 20})))
    spent_ms, chosen = [], []
    for seen in rounds:
        view = replace(seen, candidates=replace(seen.candidates))
        rng = np.random.default_rng(seen.round)
        started_s = time.perf_counter()
        if isinstance(policy, AskingPolicy):
            asked = checked_questions(policy, view, rng=rng)
            loss = view.candidates.asked_loss.copy()
            loss[asked] = rng.random(len(asked))
            view = replace(view, candidates=replace(view.candidates, asked_loss=loss))
        chosen = checked_selection(policy, view, rng=rng)
        spent_ms.append(1e3 * (time.perf_counter() - started_s))
    return {
        "num_selected": len(chosen),
        "first_ms": round(spent_ms[0], 2),
        "median_ms": round(statistics.median(spent_ms[1:]), 2),
        "decision_ms": round(min(spent_ms[1:]), 2),
        "is_within_target": min(spent_ms[1:]) <= TARGET_MS,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Decisions, and runs without training.")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--clients", type=int, default=100_000)
    parser.add_argument("policies", nargs="*", help="kinds; all when none is named")
    options = parser.parse_args()
    rounds = views(options.clients)
    found = {kind: measure(kind, rounds) for kind in options.policies or POLICIES}
    runs: dict[str, dict[str, Any]] = {}
    if not options.policies:
        runs |= {case: measure_apart(case) for case in CASES}
        runs["many_clients"] = many_clients.measure_apart()
    if options.json:
        report = {"num_candidates": options.clients, "target_ms": TARGET_MS, "policies": found}
        report["timing_only"] = runs
        print(json.dumps(report))
        return
    print(f"{options.clients} candidates, target {TARGET_MS:g} ms")
    for kind, row in found.items():
        verdict = "" if row["is_within_target"] else "  over"
        print(
            f"{kind:18} selects {row['num_selected']:>6}  first {row['first_ms']:>8.1f} ms  "
            f"best {row['decision_ms']:>8.1f} ms  median {row['median_ms']:>8.1f} ms{verdict}"
        )
    for case, row in runs.items():
        print(f"{case:22} " + "  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
