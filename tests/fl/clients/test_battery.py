"""Levels of batteries against hand calculation: spending, waiting, charging."""

import numpy as np
import pytest

from fl.clients.availability.daily import DailyWindow
from fl.clients.battery import Batteries, BatteryConfig, find_problems

HOUR_S = 3600.0
FULL_J = 10 * HOUR_S  # 10 Wh


class Kept:
    """Batteries of 10 Wh, one on mains, and what their clients have spent."""

    def __init__(self, num=3, **settings):
        self.spent_j = np.zeros(num + 1)
        self.batteries = Batteries(
            BatteryConfig(**settings),
            capacity_j=np.append(np.full(num, FULL_J), np.inf),
            spent_j=lambda ids: self.spent_j[ids],
            key=12,
        )

    def level_j(self, client_id, *, now_s):
        return self.batteries.levels_j(np.array([client_id]), now_s=now_s)[0]

    def is_there(self, client_id, *, now_s):
        return self.batteries.is_there(np.array([client_id]), now_s=now_s)[0]


def test_waiting_draws_idle_power_unless_it_is_not_counted():
    kept, free = Kept(idle_w=0.5), Kept(idle_w=0.5, counts_waiting=False)
    assert kept.level_j(0, now_s=100.0) == FULL_J - 50
    assert free.level_j(0, now_s=100.0) == FULL_J
    for each, waited_j in ((kept, 100.0), (free, 0.0)):
        each.batteries.begin(0, now_s=200.0)
        each.spent_j[0] = 30.0
        assert each.level_j(0, now_s=210.0) == pytest.approx(FULL_J - waited_j - 5 - 30, rel=1e-12)
        each.batteries.end(0, now_s=210.0)
    assert free.level_j(0, now_s=1e4) == pytest.approx(FULL_J - 35, rel=1e-12)


def test_a_device_on_mains_never_runs_out():
    kept = Kept(idle_w=5.0)
    kept.batteries.begin(3, now_s=0.0)
    kept.spent_j[3] = 1e9
    assert kept.level_j(3, now_s=1e6) == np.inf
    assert kept.is_there(3, now_s=1e6)
    assert kept.batteries.safe_s(3, now_s=1e6, most_w=1e4) == np.inf


def test_a_waiting_client_is_gone_when_its_battery_is_empty():
    """5 Wh at 2.5 W last two hours."""
    kept = Kept(idle_w=2.5, start_level=0.5)
    assert kept.is_there(1, now_s=2 * HOUR_S - 1e-3)
    assert not kept.is_there(1, now_s=2 * HOUR_S + 1e-6)
    assert kept.batteries.next_return_s(now_s=2 * HOUR_S) == np.inf


def test_charging_fills_up_to_the_full_battery_and_brings_back():
    """Empty at 2 h; charged at 12.5 - 2.5 W from 6 to 9 o'clock, it has 20 % after 12 minutes."""
    settings = {
        "idle_w": 2.5, "start_level": 0.5, "charging_w": 12.5,
        "charging": DailyWindow(begin_h=6, duration_h=3), "return_level": 0.2,
    }  # fmt: skip
    kept = Kept(**settings)
    kept.batteries.is_there(np.arange(3), now_s=3 * HOUR_S)
    returns_s = 6.2 * HOUR_S
    assert kept.batteries.next_return_s(now_s=3 * HOUR_S) == pytest.approx(returns_s, rel=1e-12)
    assert not kept.is_there(0, now_s=returns_s - 1e-3)
    assert kept.is_there(0, now_s=returns_s)
    assert kept.level_j(0, now_s=6.5 * HOUR_S) == pytest.approx(5 * HOUR_S, rel=1e-12)
    assert kept.level_j(0, now_s=8 * HOUR_S) == FULL_J
    assert kept.level_j(0, now_s=11 * HOUR_S) == pytest.approx(5 * HOUR_S, rel=1e-12)
    # asked for once a day later: the same as step by step
    (level_j,) = Kept(**settings).batteries.levels_j(np.array([0]), now_s=11 * HOUR_S)
    assert level_j == pytest.approx(5 * HOUR_S, rel=1e-12)


def test_days_without_charging_are_passed_over():
    """A client that charges on one day in four ends where a walk through its windows ends."""
    window = DailyWindow(begin_h=6, duration_h=2, probability=0.25, spread_h=1)
    settings = {"idle_w": 0.06, "charging": window, "charging_w": 3.0, "start_level": 0.6}
    kept = Kept(num=20, **settings)
    every, until_s = np.arange(20), 6 * 24 * HOUR_S
    found_j = kept.batteries.levels_j(every, now_s=until_s)
    windows = kept.batteries._windows
    for client_id in every.tolist():
        level_j, at_s = 0.6 * FULL_J, 0.0
        while at_s < until_s:
            ids = np.array([client_id])
            change_s = min(windows.next_change_s(ids, after_s=at_s)[0], until_s)
            power_w = 3.0 * windows.is_available(ids, at_s=at_s)[0] - 0.06
            level_j = min(max(level_j + power_w * (change_s - at_s), 0.0), FULL_J)
            at_s = change_s
        assert found_j[client_id] == pytest.approx(level_j, rel=1e-9, abs=1e-6)
    assert len(set(found_j.round(3))) > 3


def test_safe_time_is_to_the_first_instant_at_which_it_could_be_empty():
    kept = Kept(idle_w=0.5, start_level=0.01)
    kept.batteries.begin(0, now_s=0.0)
    assert kept.batteries.safe_s(0, now_s=0.0, most_w=3.5) == pytest.approx(360 / 4, rel=1e-12)
    kept.spent_j[0] = 3.5 * 90
    assert kept.batteries.safe_s(0, now_s=90.0, most_w=3.5) == 0.0


def test_safe_time_ends_with_the_charging_that_keeps_a_battery_up():
    window = DailyWindow(begin_h=1, duration_h=2)
    kept = Kept(idle_w=0.0, charging=window, charging_w=4.0)
    kept.batteries.begin(0, now_s=0.0)
    assert kept.batteries.safe_s(0, now_s=0.0, most_w=3.0) == HOUR_S
    assert kept.batteries.safe_s(0, now_s=1.5 * HOUR_S, most_w=3.0) == 1.5 * HOUR_S


def test_start_levels_are_spread_evenly():
    batteries = Batteries(
        BatteryConfig(start_level=0.5, start_level_spread=0.3),
        capacity_j=np.full(4000, FULL_J),
        spent_j=np.zeros_like,
        key=3,
    )
    levels = batteries.levels_j(np.arange(4000), now_s=0.0) / FULL_J
    assert (levels.min(), levels.max()) == pytest.approx((0.2, 0.8), abs=1e-3)
    assert levels.mean() == pytest.approx(0.5, abs=4 * 0.3 / np.sqrt(3 * 4000))


@pytest.mark.parametrize(
    ("settings", "key", "words"),
    [
        ({"start_level": 0.9, "start_level_spread": 0.2}, ".start_level_spread", "got 0.7 to 1.1"),
        ({"return_level": 0.5}, ".return_level", "has no effect without charging, got 0.5"),
        ({"charging": DailyWindow(begin_h=1, duration_h=2), "idle_w": 4.0, "charging_w": 3.0},
         ".charging_w", "must be > idle_w = 4, got 3"),
        ({"charging": DailyWindow(begin_h=1, duration_h=23, spread_h=1)},
         ".charging.spread_h", "must be < 24"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(settings, key, words):
    (problem,) = find_problems(BatteryConfig(**settings), has_any=True, path=("battery",))
    assert ".".join(problem.path) == f"battery{key}"
    assert words in problem.message


def test_a_world_on_mains_has_no_batteries_to_set():
    (problem,) = find_problems(BatteryConfig(), has_any=False, path=("clients", "battery"))
    assert "no class in clients.devices has a battery" in problem.message
