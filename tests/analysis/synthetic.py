"""A made-up result folder with the shape of a real one, drawn from addressed streams."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netsim.streams import Purpose, stream

NUM_CLIENTS = 12
TARGET = 0.8


@dataclass(frozen=True, kw_only=True)
class FakeMethod:
    name: str
    label: str
    ceiling: float
    """Accuracy after endless rounds."""
    pace: float
    """Rounds to 63 % of the way."""
    payload_bytes: int
    compute_s: float
    splits: Sequence[str] = ("global", "personal")


METHODS = (
    FakeMethod(name="local", label="Local only", ceiling=0.70, pace=3.0, payload_bytes=0,
               compute_s=9.0, splits=("personal",)),
    FakeMethod(name="fedit_r8", label="FedIT, rank 8", ceiling=0.88, pace=4.0,
               payload_bytes=610_000, compute_s=9.5),
    FakeMethod(name="fedtt_r5", label="FedTT, rank 5", ceiling=0.865, pace=5.5,
               payload_bytes=62_000, compute_s=11.0),
    FakeMethod(name="pftt_r8", label="PFTT, d 8, rank 8", ceiling=0.90, pace=5.0,
               payload_bytes=140_000, compute_s=12.0, splits=("personal",)),
)  # fmt: skip


def write_results(
    folder: Path,
    *,
    methods: Sequence[FakeMethod] = METHODS,
    seeds: Sequence[int] = (1, 2, 3),
    num_rounds: int = 15,
    cut: Mapping[tuple[str, int], int] | None = None,
    cost_label: str = "",
) -> Path:
    """Write a study; ``cut`` maps (variant, seed) to the round after which that run was killed."""
    cut = cut or {}
    runs = []
    for place, method in enumerate(methods):
        for seed in seeds:
            last = cut.get((method.name, seed), num_rounds)
            run = _Run(method, seed=seed, place=place)
            run.play(last)
            run.write(folder / method.name / f"seed{seed}", is_cut=last < num_rounds)
            runs.append(_run_entry(method, seed, run, is_cut=last < num_rounds))
    manifest = {
        "name": "synthetic",
        "status": "interrupted" if cut else "done",
        "seeds": list(seeds),
        "variants": [
            {"name": m.name, "label": m.label, "method": m.name.split("_")[0], "knobs": {}}
            for m in methods
        ],
        "targets": {"accuracy": TARGET},
        "runs": runs,
        "versions": {"airtune": "0.1.0", "python": "3.11.7", "numpy": "2.4.6", "torch": "2.13.0"},
        "commit": "0123abc",
        "machine": {"cores": 2},
        "data_digest": "sha256:5d41402abc4b2a76",
        "model": {"name": "tiny-encoder", "parameters": 1_234_567},
        "cost_label": cost_label,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    (folder / "scenario.yaml").write_text("name: synthetic\nseeds: [1, 2, 3]\n", encoding="utf-8")
    return folder


def without_metrics(folder, *, is_told=True):
    """Take the evaluations and targets out of a result folder; return it."""
    for path in folder.glob("*/seed*/evaluations.csv"):
        head = path.read_text(encoding="utf-8").partition("\n")[0]
        path.write_text(f"{head}\n", encoding="utf-8")
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) | {"targets": {}}
    path.write_text(json.dumps(manifest | {"timing_only": is_told}), encoding="utf-8")
    return folder


def _run_entry(method: FakeMethod, seed: int, run: "_Run", *, is_cut: bool) -> dict[str, object]:
    return {
        "variant": method.name,
        "seed": seed,
        "status": "interrupted" if is_cut else "done",
        "host_total_s": 21.5 + seed,
        "host_train_s": 18.0 + seed,
        "host_eval_s": 2.0,
        "host_other_fraction": 1.5 / (21.5 + seed),
        "simulated_s": run.now_s,
    }


_FILES = (
    *("devices", "classes", "rounds", "clients", "transfers", "evaluations", "scores", "energy"),
)
CLASSES = ("bugs", "docs", "tests")


class _Run:
    """Rows of one run, round by round."""

    def __init__(self, method: FakeMethod, *, seed: int, place: int) -> None:
        self.method, self.seed, self.place = method, seed, place
        self.rows: dict[str, list[dict[str, object]]] = {name: [] for name in _FILES}
        self.now_s = 0.0
        self.totals = dict.fromkeys(("tx", "rx", "idle", "compute", "site"), 0.0)
        self.uplink = self.downlink = 0
        self.wasted_j = 0.0
        world = stream(seed, Purpose.PLACEMENT)
        self.rate_bps = 10 ** world.uniform(5.6, 7.0, NUM_CLIENTS)
        self.speed = world.choice([1.0, 0.6, 1.8], NUM_CLIENTS)
        self.skill = stream(seed, Purpose.PARTITION).normal(0, 0.03, NUM_CLIENTS)

    @property
    def client_j(self) -> float:
        return sum(value for key, value in self.totals.items() if key != "site")

    def play(self, last: int) -> None:
        for client in range(NUM_CLIENTS):
            flop_per_s = 10e9 / self.speed[client]
            self._add("devices", client_id=client, device="phone_mid", flop_per_s=flop_per_s,
                      low_flop_per_s=flop_per_s / (4 if client % 2 else 2),
                      high_flop_per_s=flop_per_s * 3, compute_w=3.0, low_w=2.4, high_w=3.6,
                      memory_bytes=2e9, battery_wh=17.0 if client % 2 else "")  # fmt: skip
            for place, name in enumerate(CLASSES):
                if (client + place) % 4:
                    self._add("classes", client_id=client, class_name=name,
                              num_train=10 * (1 + client * (place + 1) % 5),
                              num_test=2)  # fmt: skip
        self._evaluate(0)
        for number in range(1, last + 1):
            self._round(number)
            self._evaluate(number)
        for activity in ("tx", "rx", "idle", "compute"):
            for client in range(NUM_CLIENTS):
                joules = self.totals[activity] / NUM_CLIENTS
                self._add("energy", owner=f"client:{client}", activity=activity,
                          seconds=self.now_s / 4, energy_j=joules)  # fmt: skip
        for activity, share in (("tx", 0.2), ("rx", 0.1), ("idle", 0.7)):
            self._add("energy", owner="site:0", activity=activity, seconds=self.now_s * share,
                      energy_j=self.totals["site"] * share)  # fmt: skip

    def _add(self, table: str, **row: object) -> None:
        self.rows[table].append(row)

    def _round(self, number: int) -> None:
        rng = stream(self.seed, Purpose.COHORT, number)
        chosen = np.sort(rng.choice(NUM_CLIENTS, 6, replace=False))
        fading = stream(self.seed, Purpose.FADING, number).exponential(1.0, NUM_CLIENTS)
        started, finished, failed = self.now_s, self.now_s, 0
        for client in map(int, chosen):
            is_lost = bool(rng.uniform() < 0.05) and self.method.payload_bytes > 0
            ended = self._client(number, client, fading[client], started, is_lost=is_lost)
            failed += is_lost
            finished = max(finished, ended)
        self.now_s = finished
        self.totals["idle"] += 0.05 * 6 * (finished - started)
        self.totals["site"] += 130.0 * (finished - started)
        self._add("rounds", round=number, started_at_s=started, finished_at_s=finished,
                  num_selected=6, num_received=6 - failed, num_late=0, num_failed=failed,
                  uplink_bytes=self.uplink, downlink_bytes=self.downlink,
                  energy_j=self.client_j, wasted_j=self.wasted_j,
                  site_energy_j=self.totals["site"])  # fmt: skip

    def _client(
        self, number: int, client: int, gain: float, started: float, *, is_lost: bool
    ) -> float:
        size = self.method.payload_bytes
        up_s = 8 * size / (self.rate_bps[client] * (0.2 + gain)) if size else 0.0
        down_s = up_s / 4
        compute_s = self.method.compute_s * self.speed[client]
        moments = np.cumsum([started, down_s, compute_s, up_s])
        joules = {"rx": 0.8 * down_s, "compute": 3.0 * compute_s, "tx": 1.1 * up_s}
        for activity, value in joules.items():
            self.totals[activity] += value
        self.wasted_j += sum(joules.values()) if is_lost else 0.0
        if size:
            self.downlink += size
            self.uplink += 0 if is_lost else size
            for way, first in (("downlink", 0), ("uplink", 2)):
                lost = is_lost and way == "uplink"
                self._add("transfers", participation_id=number * 100 + client, client_id=client,
                          direction=way, size_bytes=size,
                          requested_at_s=moments[first], started_at_s=moments[first],
                          finished_at_s=moments[first + 1], cell_id=client % 3,
                          mean_sinr_db="" if lost else 10.0, num_resource_blocks=17,
                          retransmissions=0, handovers=0,
                          energy_j=joules["rx" if first == 0 else "tx"],
                          status="timeout" if lost else "delivered")  # fmt: skip
        self._add("clients", participation_id=number * 100 + client, round=number,
                  client_id=client,
                  outcome="dropped:uplink:timeout" if is_lost else "received", download_s=down_s,
                  compute_s=compute_s, upload_s="" if is_lost else up_s,
                  compute_j=joules["compute"], radio_j=joules["tx"] + joules["rx"],
                  wasted_j=sum(joules.values()) if is_lost else 0.0,
                  train_loss="" if is_lost else 1.5 * np.exp(-number / 6), staleness=0)  # fmt: skip
        return float(moments[-1])

    def _evaluate(self, number: int) -> None:
        rng = stream(self.seed, Purpose.EVALUATION, self.place, number)
        world = stream(self.seed, Purpose.LINE_OF_SIGHT).normal(0, 0.006)
        level = 0.22 + (self.method.ceiling - 0.22) * (1 - np.exp(-number / self.method.pace))
        for split in self.method.splits:
            bonus = 0.02 if split == "personal" and self.method.payload_bytes else 0.0
            mean = level + world + bonus + rng.normal(0, 0.008)
            clients = np.sort(np.clip(mean + self.skill, 0, 1))
            is_global = split == "global"
            if not is_global:
                self.rows["scores"] = [
                    {"round": number, "at_s": self.now_s, "client_id": client,
                     "metric": "accuracy", "split": split, "value": value}
                    for client, value in enumerate(np.clip(mean + self.skill, 0, 1))
                ]  # fmt: skip
            self._add("evaluations", round=number, at_s=self.now_s, energy_j=self.client_j,
                      site_energy_j=self.totals["site"], uplink_bytes=self.uplink,
                      downlink_bytes=self.downlink, metric="accuracy", split=split,
                      mean=mean if is_global else clients.mean(),
                      std=0.0 if is_global else clients.std(),
                      worst10=mean if is_global else clients[0],
                      n=1000 if is_global else NUM_CLIENTS,
                      text_mean=mean if is_global else clients.mean() + 0.01,
                      num_trained="" if is_global else NUM_CLIENTS - 1,
                      trained_mean="" if is_global else clients[1:].mean(),
                      prior="" if is_global else 0.4,
                      num_left_out="" if is_global else 0)  # fmt: skip

    def write(self, folder: Path, *, is_cut: bool) -> None:
        folder.mkdir(parents=True)
        for name, rows in self.rows.items():
            if is_cut and name in ("energy", "scores"):
                continue
            if not rows:
                (folder / f"{name}.csv").write_text(EMPTY_TRANSFERS, encoding="utf-8")
                continue
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
                if is_cut:
                    file.write("99,0.1")  # a row that the kill cut off


EMPTY_TRANSFERS = (
    "participation_id,client_id,direction,size_bytes,requested_at_s,started_at_s,finished_at_s,cell_id,"
    "mean_sinr_db,num_resource_blocks,retransmissions,handovers,energy_j,status\n"
)
