"""The server crashes and comes back: what is not merged is lost, in every mode."""

import numpy as np
import pytest

from fl.clients.availability.markov import MarkovAvailability
from fl.clients.battery import BatteryConfig
from fl.methods.fedit.config import FeditConfig
from fl.server.faults import FaultsConfig, ServerCrash, ServerCrashRate, find_problems
from fl.server.modes import MODES, run_server
from fl.training.config import TrainingConfig
from tests.fl.fakes import federation
from tests.fl.server.books import check_books
from tests.fl.server.modes.test_every_mode import SETTINGS

UNTRAINED = TrainingConfig(local_steps=3, batch_size=8, mode="none")
TRANSMIT_W, RECEIVE_W = 0.5, 0.2


def run(played):
    played.env.run(until=played.env.process(run_server(played)))
    return played.recorder


def with_crashes(*crashes, **options):
    settings = {
        "num_clients": 2, "cohort": 2, "num_rounds": 2, "devices": ["laptop", "phone_low"],
        "training": UNTRAINED, "faults": FaultsConfig(server_crashes=crashes), **options,
    }  # fmt: skip
    return federation(FeditConfig(rank=8), **settings)


def test_a_crash_loses_what_is_under_way_and_what_is_not_merged():
    """At the crash the laptop's update has come and the phone has sent half of its own."""
    first, second = run(with_crashes(num_rounds=1)).clients
    ends_s = [part.download_s + part.compute_s + part.upload_s for part in (first, second)]
    assert ends_s[0] < ends_s[1]
    crash_at_s = (ends_s[0] + ends_s[1]) / 2
    played = with_crashes(ServerCrash(at_s=crash_at_s, down_s=5.0))
    rows = run(played)
    assert [part.outcome for part in rows.clients] == [
        "server_crashed:merge",
        "server_crashed:uplink",
        "received",
        "received",
    ]
    sent_s = crash_at_s - second.download_s - second.compute_s
    spent_j = RECEIVE_W * second.download_s + second.compute_j + TRANSMIT_W * sent_s
    assert rows.clients[1].wasted_j == pytest.approx(spent_j, rel=1e-9)
    assert rows.clients[0].wasted_j == first.compute_j + first.radio_j
    crashed, after = rows.rounds
    assert (crashed.num_received, crashed.num_failed) == (0, 2)
    assert crashed.finished_at_s == pytest.approx(crash_at_s, abs=1e-9)
    assert after.started_at_s == pytest.approx(crash_at_s + 5.0, abs=1e-9)
    assert played.state.version == 1


def test_a_crash_between_rounds_costs_time_alone():
    """The server is away when round 1 should begin."""
    rows = run(with_crashes(ServerCrash(at_s=0.0, down_s=3.0)))
    rest = run(with_crashes())
    assert [row.num_received for row in rows.rounds] == [2, 2]
    spent_j, rest_j = ([part.compute_j for part in each.clients] for each in (rows, rest))
    assert spent_j == pytest.approx(rest_j, rel=1e-9)
    last_s = rest.rounds[-1].finished_at_s
    assert rows.rounds[-1].finished_at_s == pytest.approx(last_s + 3.0, rel=1e-12)


def test_planned_crashes_come_when_they_are_planned():
    crashes = [ServerCrash(at_s=at_s, down_s=0.5) for at_s in (1.0, 4.0, 9.25)]
    played = with_crashes(*crashes)
    found = []
    played.presence.crash_server = lambda *, down_s: found.append((played.now_s, down_s))
    played.env.run(until=20)
    assert found == [(1.0, 0.5), (4.0, 0.5), (9.25, 0.5)]


def test_the_rate_of_crashes_is_that_of_the_settings():
    rate = ServerCrashRate(mean_up_s=90.0, mean_down_s=10.0)
    played = with_crashes(faults=FaultsConfig(server_crash_rate=rate))
    found = []
    played.presence.crash_server = lambda *, down_s: found.append(down_s)
    played.env.run(until=1e5)
    assert len(found) == pytest.approx(1000, abs=4 * np.sqrt(1000))
    assert np.mean(found) == pytest.approx(10.0, rel=4 / np.sqrt(1000))


@pytest.mark.parametrize(
    ("config", "key", "words"),
    [
        (
            FaultsConfig(
                server_crashes=(ServerCrash(at_s=5, down_s=4), ServerCrash(at_s=9, down_s=1))
            ),
            "server_crashes.1.at_s",
            "must be > 9, when the server is back, got 9",
        ),
        (
            FaultsConfig(
                server_crashes=(ServerCrash(at_s=5, down_s=4),),
                server_crash_rate=ServerCrashRate(mean_up_s=5, mean_down_s=1),
            ),
            "server_crash_rate",
            "has no place beside server_crashes",
        ),
    ],
)
def test_faults_that_do_not_fit_are_refused(config, key, words):
    (problem,) = find_problems(config)
    assert ".".join(problem.path) == f"faults.{key}"
    assert words in problem.message


MISHAPS = {
    "crashes": {
        "faults": FaultsConfig(server_crash_rate=ServerCrashRate(mean_up_s=0.5, mean_down_s=0.2))
    },
    "leaving": {"availability": MarkovAvailability(mean_on_s=0.4, mean_off_s=0.3)},
    "all": {
        "faults": FaultsConfig(server_crash_rate=ServerCrashRate(mean_up_s=1.0, mean_down_s=0.2)),
        "availability": MarkovAvailability(mean_on_s=1.0, mean_off_s=0.2),
        "battery": BatteryConfig(idle_w=0.1),
        "failing": {(2, "uplink"): "outage"},
    },
}
ROUND_S = 0.15
"""About what a round without mishaps takes [s]."""


@pytest.mark.parametrize("mishap", sorted(MISHAPS))
@pytest.mark.parametrize("mode", sorted(MODES))
def test_joules_and_bytes_add_up_in_every_mode_whatever_happens(mode, mishap):
    assert len(MODES) >= 5
    settings = {
        key: value * ROUND_S if key.endswith("_s") else value
        for key, value in SETTINGS[mode].items()
    }
    found = []
    for _ in range(2):
        played = federation(
            FeditConfig(), num_clients=6, cohort=3, num_rounds=12, training=UNTRAINED,
            mode=MODES[mode].config, **settings, **MISHAPS[mishap],
        )  # fmt: skip
        if played.presence.batteries is not None:
            played.presence.batteries._level_j[:3] = (0.05, 0.1, 0.2)
        found.append(run(played))
    rows, again = found
    assert rows == again
    check_books(played)
    outcomes = {part.outcome.split(":")[0] for part in rows.clients}
    expected = {"crashes": "server_crashed", "leaving": "left", "all": "battery_empty"}
    assert {expected[mishap], "received"} <= outcomes
