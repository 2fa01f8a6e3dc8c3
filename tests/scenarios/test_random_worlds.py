"""Random cellular scenarios: sites fail, the server crashes, clients leave; the files add up."""

import csv
from collections import Counter, defaultdict

import numpy as np
import pytest

from fl.policies import POLICIES
from fl.server.modes import MODES
from scenarios import run
from scenarios.load import load
from tests.fl.policies.smallest import SMALLEST
from tests.scenarios.conftest import SMALL, STUDY

NUM_CLIENTS, COHORT, NUM_ROUNDS = 6, 3, 10
SILENT = [kind for kind, entry in POLICIES.items() if not entry.reads_loss]
"""Policies that need no training."""
ROUND_BY_ROUND = ("sync", "deadline")
"""Modes that a Poisson sample is drawn for, in one more world each."""
WORLDS_A_MODE = 3
MODE_SETTINGS = {
    "sync": {"over_selection": "1.5"},
    "deadline": {"deadline_s": "0.6", "late": "carried"},
    "semi_async": {"num_updates": "2", "time_s": "0.8"},
    "fedasync": {},
    "fedbuff": {"buffer_size": "2"},
    "hierarchical": {"edge_rounds": "2"},
}
KNOBS = {
    "fedcs": "round_s: 1e6",
    "knapsack": "budget_j: 1e9",
    "poisson": "probability: 0.5",
    "lyapunov": "budget_j: 5",
    "energy_floor": "min_fraction: 0",
}


def settings_of(mode, number):
    """Return the settings of a random world, and its policy."""
    rng = np.random.default_rng([list(MODES).index(mode), number])
    order = [kind for kind in SILENT if kind != "poisson"]
    policy = order[(list(MODES).index(mode) * WORLDS_A_MODE + number) % len(order)]
    if number == WORLDS_A_MODE:
        policy = "poisson"
    counts = hasattr(SMALLEST[policy], "num_clients")
    knobs = [f"kind: {policy}", *[f"num_clients: {COHORT}"] * counts]
    knobs += [KNOBS[policy]] if policy in KNOBS else []
    server = [f"mode: {mode}", f"num_rounds: {NUM_ROUNDS}", f"policy: {{{', '.join(knobs)}}}"]
    server += [
        f"{key}: {value}"
        for key, value in MODE_SETTINGS[mode].items()
        if counts or key != "over_selection"
    ]
    up_s, down_s, on_s, crash_s = rng.uniform([0.5, 0.3, 2, 1], [3, 1.5, 8, 5])
    start_level = 10 ** rng.uniform(-6.5, -5)
    return [
        *(each for each in SMALL if not each.startswith("server.")),
        f"seeds=[{rng.integers(1000)}]",
        f"clients.num_clients={NUM_CLIENTS}",
        f"server={{{', '.join(server)}}}",
        "training.mode=none",
        "methods=[{kind: ffa_lora, rank: 4}]",
        f"world.layout.num_sites={[1, 7][number % 2]}",
        "radio.transfer_timeout_s=0.7",
        f"radio.outage_rate={{mean_up_s: {up_s}, mean_down_s: {down_s}}}",
        f"clients.availability={{kind: markov, mean_on_s: {on_s}, mean_off_s: 0.5}}",
        f"clients.battery={{start_level: {start_level}, charging_w: 0.5, return_level: 1e-6, "
        "charging: {begin_h: 0, duration_h: 23.9}}",
        f"faults.server_crash_rate={{mean_up_s: {crash_s}, mean_down_s: 0.2}}",
    ]


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def check_files(folder):
    """Check the files of a run against each other; return how often each outcome occurs."""
    rounds, clients, transfers, energy = (
        rows(folder / f"{name}.csv") for name in ("rounds", "clients", "transfers", "energy")
    )
    assert [int(row["round"]) for row in rounds] == list(range(1, NUM_ROUNDS + 1))
    check_rounds(rounds, clients)
    assert sorted(int(row["participation_id"]) for row in clients) == list(range(len(clients)))
    radio_j, sent = defaultdict(float), Counter()
    for row in transfers:
        assert float(row["finished_at_s"]) >= float(row["requested_at_s"])
        radio_j[row["participation_id"]] += float(row["energy_j"])
        sent[row["direction"]] += int(row["delivered_bytes"])
    spent_j = Counter()
    for row in clients:
        own_j = float(row["compute_j"]) + float(row["radio_j"])
        assert float(row["wasted_j"]) == (0 if row["outcome"] == "received" else own_j)
        assert float(row["radio_j"]) == pytest.approx(
            radio_j.pop(row["participation_id"], 0.0), abs=1e-9
        )
        spent_j["compute"] += float(row["compute_j"])
    assert not radio_j
    for row in energy:
        if row["activity"] == "compute":
            spent_j["booked"] += float(row["energy_j"])
    assert spent_j["booked"] == pytest.approx(spent_j["compute"], rel=1e-9)
    of_rounds = {way: sum(int(row[f"{way}_bytes"]) for row in rounds) for way in sent}
    last = {row["participation_id"] for row in clients if int(row["round"]) > NUM_ROUNDS}
    for row in transfers:
        if row["participation_id"] in last:
            of_rounds[row["direction"]] += int(row["delivered_bytes"])
    assert of_rounds == sent
    return Counter(row["outcome"].split(":")[0] for row in clients) + Counter(
        row["status"] for row in transfers
    )


def check_rounds(rounds, clients):
    wasted_j, before_s = 0.0, 0.0
    for row in rounds:
        assert before_s <= float(row["started_at_s"]) <= float(row["finished_at_s"])
        before_s = float(row["finished_at_s"])
        parts = [part for part in clients if part["round"] == row["round"]]
        received = sum(part["outcome"] == "received" for part in parts)
        assert (int(row["num_selected"]), int(row["num_received"])) == (len(parts), received)
        wasted_j += sum(float(part["wasted_j"]) for part in parts)
        assert float(row["wasted_j"]) == pytest.approx(wasted_j, rel=1e-9)


def test_files_add_up_whatever_fails(tmp_path):
    found = Counter()
    for mode in MODES:
        for number in range(WORLDS_A_MODE + (mode in ROUND_BY_ROUND)):
            try:
                result = run(
                    load(STUDY, settings_of(mode, number)), out=tmp_path / f"{mode}{number}"
                )
                assert result.status == "done", result.failures
                (folder,) = {path.parent for path in result.folder.rglob("clients.csv")}
                found += check_files(folder)
            except Exception as error:
                error.add_note(f"in world {number} of {mode}")
                raise
    fates = ("received", "dropped", "server_crashed", "left", "battery_empty", "surplus", "outage")
    assert min(found[each] for each in fates) >= 5, found


def test_every_policy_that_reads_no_loss_occurs():
    assert 12 <= len(SILENT) <= WORLDS_A_MODE * len(MODES)
    assert MODE_SETTINGS.keys() == MODES.keys()
