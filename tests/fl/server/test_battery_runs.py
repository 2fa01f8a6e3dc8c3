"""Batteries in a run: clients stop at the instant at which theirs is empty, in every step."""

from dataclasses import replace

import numpy as np
import pytest

from fl.clients.availability.daily import DailyWindow
from fl.clients.battery import WH_J, BatteryConfig
from fl.clients.devices import Devices
from fl.clients.throttling import TwoStateThrottling
from fl.methods.fedit.config import FeditConfig
from fl.policies.energy_floor import EnergyFloorPolicyConfig
from fl.server.config import DeadlineServer, FedBuffServer
from fl.server.modes import run_server
from fl.training.config import TrainingConfig
from tests.fl.fakes import federation

UNTRAINED = TrainingConfig(local_steps=3, batch_size=8, mode="none")
TRANSMIT_W, RECEIVE_W, COMPUTE_W = 0.5, 0.2, 3.0
IDLE_W = 0.1


def run(played):
    played.env.run(until=played.env.process(run_server(played)))
    return played.recorder


def with_battery(level_j, **options):
    """Clients 0 (laptop) and 1 (mid-range phone); the phone has so much left at 0 s."""
    settings = {
        "num_clients": 2, "cohort": 2, "num_rounds": 1, "devices": ["laptop", "phone_mid"],
        "training": UNTRAINED, "battery": BatteryConfig(idle_w=IDLE_W, counts_waiting=False),
        **options,
    }  # fmt: skip
    played = federation(FeditConfig(rank=8), **settings)
    if level_j is not None:
        played.presence.batteries._level_j[1] = level_j
    return played


def steps():
    """Seconds of download, job and upload of client 1."""
    part = run(with_battery(None)).clients[1]
    return part.download_s, part.compute_s, part.upload_s


@pytest.mark.parametrize("stage", ["downlink", "compute", "uplink"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_participation_ends_at_the_instant_at_which_the_battery_is_empty(stage, share):
    down_s, compute_s, up_s = steps()
    lasts_s = {"downlink": (0, 0), "compute": (1, 0), "uplink": (1, 1)}[stage]
    before_s = lasts_s[0] * down_s, lasts_s[1] * compute_s
    own_s, own_w = {
        "downlink": (down_s, RECEIVE_W), "compute": (compute_s, COMPUTE_W),
        "uplink": (up_s, TRANSMIT_W),
    }[stage]  # fmt: skip
    empty_at_s = sum(before_s) + share * own_s
    spent_j = before_s[0] * RECEIVE_W + before_s[1] * COMPUTE_W + share * own_s * own_w
    played = with_battery(spent_j + IDLE_W * empty_at_s)
    rows = run(played)
    part = rows.clients[1]
    assert part.outcome == f"battery_empty:{stage}"
    ended_at_s = max(end_s for client, _, _, end_s, _ in played.network.charges if client == 1)
    assert ended_at_s == pytest.approx(empty_at_s, abs=2e-9)
    assert part.compute_j + part.radio_j == pytest.approx(spent_j, rel=1e-6)
    assert part.wasted_j == part.compute_j + part.radio_j
    assert (rows.rounds[0].num_failed, rows.rounds[0].num_received) == (1, 1)
    assert played.presence.battery_j(np.array([1]))[0] == [0.0]
    assert played.presence.candidate_ids().tolist() == [0]


def test_computing_with_throttling_ends_when_the_battery_is_empty():
    """Cool for a sixth of the warm time at three times the power, warm afterwards."""
    down_s, warm_s, _ = steps()
    throttling = TwoStateThrottling(cool_factor=3.0, cool_s=warm_s / 6)
    warm_part_s = warm_s / 8
    level_j = (
        RECEIVE_W * down_s
        + COMPUTE_W * (3 * warm_s / 6 + warm_part_s)
        + IDLE_W * (down_s + warm_s / 6 + warm_part_s)
    )
    played = with_battery(level_j, throttling=throttling)
    part = run(played).clients[1]
    assert part.outcome == "battery_empty:compute"
    assert part.compute_j == pytest.approx(COMPUTE_W * (warm_s / 2 + warm_part_s), rel=1e-6)


def test_a_battery_that_just_lasts_changes_nothing():
    down_s, compute_s, up_s = steps()
    spent_j = RECEIVE_W * down_s + COMPUTE_W * compute_s + TRANSMIT_W * up_s
    level_j = spent_j + IDLE_W * (down_s + compute_s + up_s) + 1e-6
    played, free = with_battery(level_j), with_battery(None, battery=None)
    assert run(played) == run(free)
    left_j = played.presence.battery_j(np.array([0, 1]))[0][1]
    assert left_j == pytest.approx(1e-6, rel=1e-3)


def test_policies_see_levels_and_capacities():
    played = with_battery(100.0)
    levels_j, capacity_j = played.presence.battery_j(np.array([1, 0]))
    full_j = [each.kind.battery_wh * WH_J for each in played.devices]
    assert levels_j.tolist() == [100.0, full_j[0]]
    assert capacity_j.tolist() == full_j[::-1]
    assert np.isnan(with_battery(None, battery=None).presence.battery_j(np.array([0]))[0]).all()


def test_the_server_waits_for_a_battery_to_charge():
    """The only client runs out in round 1 and is back when it has charged a fifth of 17 Wh."""
    battery = BatteryConfig(
        idle_w=IDLE_W, charging=DailyWindow(begin_h=5, duration_h=8), charging_w=20.0
    )
    played = federation(
        FeditConfig(rank=8), num_clients=1, cohort=1, num_rounds=2, devices=["phone_mid"],
        training=UNTRAINED, battery=battery,
    )  # fmt: skip
    played.presence.batteries._level_j[0] = 1e-4
    rows = run(played)
    assert [part.outcome for part in rows.clients] == ["battery_empty:downlink", "received"]
    returns_s = 5 * 3600 + 0.2 * 17 * WH_J / (20.0 - IDLE_W)
    assert rows.rounds[1].started_at_s == pytest.approx(returns_s, abs=1e-5)


def test_a_run_for_which_no_battery_is_ever_charged_again_is_refused():
    played = with_battery(None, num_clients=1, cohort=1, num_rounds=2, devices=["phone_mid"])
    played.presence.batteries._level_j[0] = 1e-4
    match = "clients.availability, clients.battery: nobody is available"
    with pytest.raises(ValueError, match=match):
        run(played)


def test_a_battery_that_cannot_do_one_round_is_named():
    played = with_battery(None)
    devices = list(played.devices)
    slow = replace(devices[1].speed, flop_per_s=100.0)
    played.devices = Devices.of([devices[0], replace(devices[1], speed=slow), *devices[2:]])
    match = r"clients.battery: a full battery of client 1 \(phone_mid\) holds 61200 J, one round of"
    with pytest.raises(ValueError, match=match):
        run(played)


def test_places_stay_free_while_the_charged_are_at_work_and_the_others_below_the_floor():
    policy = EnergyFloorPolicyConfig(num_clients=3, min_fraction=0.2)
    played = with_battery(
        None, num_clients=4, num_rounds=4, devices=["phone_mid"] * 4, policy=policy,
        mode=FedBuffServer, buffer_size=2,
    )  # fmt: skip
    played.presence.batteries._level_j[:2] = 1.0
    rows = run(played)
    assert [row.num_received for row in rows.rounds] == [2] * 4
    assert {part.client_id for part in rows.clients} == {2, 3}


SERVERS = {
    "sync": {},
    "over_selection": {"over_selection": 1.5},
    "dropped": {"mode": DeadlineServer, "deadline_s": 0.3},
    "carried": {"mode": DeadlineServer, "deadline_s": 0.2, "late": "carried"},
}


@pytest.mark.parametrize("server", sorted(SERVERS))
@pytest.mark.parametrize("seed", range(3))
def test_levels_are_what_was_there_less_what_was_spent(server, seed):
    rng = np.random.default_rng([seed, len(server)])
    counts = bool(seed % 2)
    options = {
        "num_clients": 5, "cohort": 3, "num_rounds": 6, "training": UNTRAINED,
        "battery": BatteryConfig(idle_w=IDLE_W, counts_waiting=counts), **SERVERS[server],
    }  # fmt: skip
    start_j = rng.uniform(0.01, 0.12, size=5)
    start_j[0] = 1e4
    found = []
    for _ in range(2):
        played = federation(FeditConfig(), **options)
        played.presence.batteries._level_j[:] = start_j
        found.append(run(played))
    assert found[0] == found[1]
    every = np.arange(5)
    left_j = played.presence.battery_j(every)[0]
    spent_j = played.network.client_energy_j(every, played.env.now)
    assert (left_j >= 0).all()
    if counts:
        lasted_j = start_j - spent_j - IDLE_W * played.env.now
        assert left_j == pytest.approx(np.maximum(lasted_j, 0.0), rel=1e-6, abs=1e-7)
    else:
        assert (left_j <= start_j - spent_j + 1e-9).all()
    outcomes = {part.outcome.split(":")[0] for part in played.recorder.clients}
    assert "battery_empty" in outcomes
    for part in played.recorder.clients:
        own_j = part.compute_j + part.radio_j
        assert part.wasted_j == (0 if part.outcome == "received" else own_j)
