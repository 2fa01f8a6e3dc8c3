"""Event A3 (step 20 of the ladder)."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.config.radio import A3Handover
from netsim.rrc.handover import NO_TARGET, A3Monitor, filter_weight

DISTANCE_M, SPEED_MPS, SAMPLE_S = 500.0, 20.0, 0.02
SLOT = np.array([0])


def rsrp_dbm(x_m):
    """Two sites at 0 and 500 m, no shadowing: 46 dBm, 128.1 + 37.6 log10(d / 1 km)."""
    distance_km = np.maximum(np.abs(x_m - np.array([[0.0, DISTANCE_M]])), 10.0) / 1000.0
    return 46.0 - 128.1 - 37.6 * np.log10(distance_km)


def drive(config, *, until_s, position_m=lambda at_s: 50.0 + SPEED_MPS * at_s, extra_db=None):
    """Sample the path every 20 ms and follow every handover; give their instants and cells."""
    monitor = A3Monitor(config, num_cells=2)
    monitor.start(SLOT)
    cell, changes = np.array([0]), []
    for k in range(round(until_s / SAMPLE_S)):
        at_s = k * SAMPLE_S
        power_dbm = rsrp_dbm(position_m(at_s)) + (0 if extra_db is None else extra_db[k])
        (target,) = monitor.step(SLOT, power_dbm, serving_cell=cell, at_s=at_s)
        if target != NO_TARGET:
            cell = np.array([target])
            changes.append((at_s, int(target)))
    return changes


def crossing_s(margin_db):
    """When the second site is stronger by the margin: a ratio of distances."""
    ratio = 10 ** (margin_db / 37.6)
    return (DISTANCE_M * ratio / (1 + ratio) - 50.0) / SPEED_MPS


def on_grid_s(at_s):
    """The first measurement not before an instant."""
    return SAMPLE_S * math.ceil(at_s / SAMPLE_S - 1e-9)


@pytest.mark.parametrize("time_to_trigger_s", [0.0, 0.04, 0.08, 0.16, 0.256, 0.48])
@pytest.mark.parametrize("offset_db", [-1.0, 0.0, 1.0, 2.0, 3.0])
def test_without_filter_it_triggers_at_the_crossing_plus_the_time_to_trigger(
    ladder, time_to_trigger_s, offset_db
):
    """Only measurements tell the time: the crossing is seen at the next one, and the timer that
    starts then expires at one, so it lasts whole samples (256 ms are 13 of 20 ms)."""
    config = A3Handover(
        offset_db=offset_db,
        hysteresis_db=3.0,
        time_to_trigger_s=time_to_trigger_s,
        filter_coefficient=0,
    )
    ((at_s, target),) = drive(config, until_s=22.0)
    assert target == 1
    crossed_s, timer_s = crossing_s(offset_db + 3.0), on_grid_s(time_to_trigger_s)
    assert at_s == pytest.approx(on_grid_s(crossed_s) + timer_s, abs=1e-9)
    assert at_s >= crossed_s + timer_s
    ladder.near(
        20,
        "instant of event A3 on a line, 30 settings",
        source="crossing of offset + hysteresis, and the time to trigger; one sample",
        measured=at_s,
        expected=crossed_s + timer_s,
        tolerance=SAMPLE_S,
        unit="s",
    )


@pytest.mark.parametrize("filter_coefficient", [2, 4, 8])
@pytest.mark.parametrize("time_to_trigger_s", [0.0, 0.16])
def test_the_filter_delays_by_its_lag(filter_coefficient, time_to_trigger_s):
    """On a ramp the filtered power is late by T (1 - a') / a', and is seen within one sample."""
    config = A3Handover(
        offset_db=0.0,
        hysteresis_db=3.0,
        time_to_trigger_s=time_to_trigger_s,
        filter_coefficient=filter_coefficient,
    )
    ((at_s, _),) = drive(config, until_s=22.0)
    weight = filter_weight(filter_coefficient, SAMPLE_S)
    lag_s = SAMPLE_S * (1 - weight) / weight
    assert lag_s > 2 * SAMPLE_S
    expected_s = crossing_s(3.0) + lag_s + time_to_trigger_s
    assert 0 <= at_s - expected_s < SAMPLE_S


def test_filter_weight_of_the_standard():
    assert filter_weight(4, 0.2) == pytest.approx(0.5)
    assert filter_weight(0, 0.05) == 1.0
    twice = 1 - (1 - filter_weight(4, 0.1)) ** 2
    assert twice == pytest.approx(0.5)


def test_no_ping_pong_without_shadowing(ladder):
    """There and back again: one handover each way, none in between, at any hysteresis."""

    def there_and_back_m(at_s):
        return 50.0 + SPEED_MPS * (20.0 - abs(at_s - 20.0))

    for hysteresis_db in (0.0, 0.5, 3.0):
        config = A3Handover(hysteresis_db=hysteresis_db, time_to_trigger_s=0.16)
        changes = drive(config, until_s=40.0, position_m=there_and_back_m)
        assert [target for _, target in changes] == [1, 0]
        ladder.near(
            20,
            "handovers on the way there and back, no shadowing",
            source="one each way",
            measured=len(changes),
            expected=2,
            tolerance=0,
        )


def test_hysteresis_suppresses_ping_pong_under_shadowing():
    noise_db = 3 * np.random.default_rng(3).standard_normal((1500, 1, 2))

    def stand_m(at_s):
        del at_s
        return 250.0

    loose = A3Handover(hysteresis_db=0.0, time_to_trigger_s=0.0)
    firm = A3Handover(hysteresis_db=3.0, time_to_trigger_s=0.256)
    count = [
        len(drive(config, until_s=30.0, position_m=stand_m, extra_db=noise_db))
        for config in (loose, firm)
    ]
    assert count[0] > 20
    assert count[1] == 0


def test_an_interrupted_condition_starts_the_timer_anew():
    config = A3Handover(hysteresis_db=0.0, time_to_trigger_s=0.1, filter_coefficient=0)
    monitor = A3Monitor(config, num_cells=2)
    monitor.start(SLOT)
    better, worse = np.array([[-90.0, -80.0]]), np.array([[-80.0, -90.0]])
    serving = np.array([0])
    answers = [
        int(monitor.step(SLOT, power, serving_cell=serving, at_s=at_s)[0])
        for at_s, power in [
            (0.0, better),
            (0.08, better),
            (0.09, worse),
            (0.1, better),
            (0.2, better),
        ]
    ]
    assert answers == [-1, -1, -1, -1, 1]


def test_the_strongest_of_several_neighbours_is_the_target():
    config = A3Handover(time_to_trigger_s=0.0, filter_coefficient=0)
    monitor = A3Monitor(config, num_cells=4)
    monitor.start(SLOT)
    power = np.array([[-90.0, -80.0, -np.inf, -79.0]])
    assert monitor.step(SLOT, power, serving_cell=SLOT, at_s=0.0)[0] == 3


def test_a_cell_that_comes_back_is_measured_anew():
    config = A3Handover(time_to_trigger_s=0.0, hysteresis_db=0.0)
    monitor = A3Monitor(config, num_cells=2)
    monitor.start(SLOT)
    for at_s, power_dbm in ((0.0, -80.0), (0.1, -np.inf), (0.2, -70.0)):
        measured = np.array([[-90.0, power_dbm]])
        monitor.step(SLOT, measured, serving_cell=np.array([1]), at_s=at_s)
        assert monitor.filtered_dbm(SLOT)[0, 1] == power_dbm


def monitor_of(num_cells=2, **config):
    """Without filter and margins, unless said otherwise; one client."""
    settings = {"hysteresis_db": 0.0, "time_to_trigger_s": 0.0, "filter_coefficient": 0}
    monitor = A3Monitor(A3Handover(**(settings | config)), num_cells=num_cells)
    monitor.start(SLOT)
    return monitor


def targets(monitor, samples, *, serving_cell=0):
    """Give the answers to measurements, each an instant and the powers of all cells."""
    serving = np.array([serving_cell])
    return [
        int(monitor.step(SLOT, np.array([power_dbm]), serving_cell=serving, at_s=at_s)[0])
        for at_s, power_dbm in samples
    ]


@pytest.mark.parametrize("offset_db", [-1.0, 2.0])
def test_a_neighbour_must_be_better_by_more_than_offset_and_hysteresis(offset_db):
    edge_dbm = -90.0 + offset_db + 3.0
    monitor = monitor_of(offset_db=offset_db, hysteresis_db=3.0)
    assert targets(monitor, [(0.0, [-90.0, edge_dbm])]) == [NO_TARGET]
    assert targets(monitor, [(0.1, [-90.0, edge_dbm + 1e-9])]) == [1]


def test_the_serving_cell_is_no_neighbour_of_its_own():
    """Whatever the offset: with -5 dB every cell beats itself."""
    monitor = monitor_of(offset_db=-5.0)
    samples = [(0.0, [-80.0, -90.0])]
    assert targets(monitor, samples) == [NO_TARGET]
    assert targets(monitor, [(0.1, [-84.0, -80.0])], serving_cell=1) == [0]


def test_the_timer_starts_anew_after_a_handover():
    monitor = monitor_of(time_to_trigger_s=0.2)
    better = [-90.0, -80.0]
    samples = [(0.1 * k, better) for k in range(7)]
    assert targets(monitor, samples) == [-1, -1, 1, -1, -1, 1, -1]


def test_a_timer_short_by_rounding_alone_has_expired():
    better = [-90.0, -80.0]
    for short_s, expected in ((0.5e-9, 1), (2e-9, NO_TARGET)):
        monitor = monitor_of(time_to_trigger_s=0.25)
        assert targets(monitor, [(0.0, better), (0.25 - short_s, better)])[1] == expected


def test_each_neighbour_has_a_timer_of_its_own():
    """The strongest is not the target before its own timer has run."""
    monitor = monitor_of(num_cells=3, time_to_trigger_s=0.2)
    samples = [
        (0.0, [-90.0, -80.0, -95.0]),
        (0.1, [-90.0, -80.0, -70.0]),
        (0.2, [-90.0, -80.0, -70.0]),
    ]
    assert targets(monitor, samples) == [-1, -1, 1]


def test_a_new_start_forgets_filter_and_timers():
    monitor = monitor_of(filter_coefficient=4, time_to_trigger_s=0.2)
    better = [-90.0, -80.0]
    assert targets(monitor, [(0.0, better), (0.1, better)]) == [-1, -1]
    monitor.start(SLOT)
    assert monitor.filtered_dbm(SLOT).tolist() == [[-np.inf, -np.inf]]
    assert targets(monitor, [(0.2, [-70.0, -60.0])]) == [-1]
    assert monitor.filtered_dbm(SLOT).tolist() == [[-70.0, -60.0]]


def test_the_filter_halves_the_difference_in_each_200_ms():
    """k = 4: half at the standard's distance of samples, the square root of that at half of it."""
    for at_s, weight in ((0.2, 0.5), (0.1, 1 - 0.5**0.5), (0.4, 0.75)):
        monitor = monitor_of(filter_coefficient=4)
        targets(monitor, [(0.0, [-90.0, -100.0]), (at_s, [-80.0, -110.0])])
        expected_dbm = [-90.0 + 10 * weight, -100.0 - 10 * weight]
        assert monitor.filtered_dbm(SLOT)[0] == pytest.approx(expected_dbm)


def test_a_cell_that_is_off_is_no_target_and_keeps_nothing_of_before():
    """Off for one sample: at once no target, and when it is back its power is the new one."""
    monitor = monitor_of(num_cells=3, filter_coefficient=8)
    samples = [(0.0, [-80.0, -85.0, -90.0]), (0.1, [-80.0, -np.inf, -90.0])]
    assert targets(monitor, samples) == [NO_TARGET, NO_TARGET]
    assert monitor.filtered_dbm(SLOT).tolist() == [[-80.0, -np.inf, -90.0]]
    assert targets(monitor, [(0.2, [-80.0, -70.0, -90.0])]) == [1]
    assert monitor.filtered_dbm(SLOT).tolist() == [[-80.0, -70.0, -90.0]]


@pytest.mark.parametrize("filter_coefficient", [0, 4])
def test_a_cell_that_goes_off_at_the_instant_of_a_measurement_is_off(filter_coefficient):
    """No time has passed for the filter, and nothing of its memory is left."""
    monitor = monitor_of(filter_coefficient=filter_coefficient)
    samples = [(0.1, [-80.0, -90.0]), (0.1, [-np.inf, -90.0])]
    assert targets(monitor, samples) == [NO_TARGET, 1]
    assert monitor.filtered_dbm(SLOT).tolist() == [[-np.inf, -90.0]]


def test_from_a_serving_cell_that_is_off_any_other_is_better():
    monitor = monitor_of()
    assert targets(monitor, [(0.0, [-np.inf, -120.0])]) == [1]
    assert targets(monitor, [(0.1, [-np.inf, -np.inf])]) == [NO_TARGET]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num=st.integers(1, 6))
def test_many_clients_at_once_are_the_same_as_one_by_one(seed, num):
    rng = np.random.default_rng(seed)
    config = A3Handover(hysteresis_db=1.0, time_to_trigger_s=0.08)
    power_dbm = -90 + np.cumsum(2 * rng.standard_normal((40, num, 3)), axis=0)
    per_transmitter = A3Monitor(config, num_cells=3)
    per_transmitter.start(np.arange(num))
    alone = [A3Monitor(config, num_cells=3) for _ in range(num)]
    for monitor in alone:
        monitor.start(SLOT)
    cells = np.zeros(num, dtype=int)
    for k, measured in enumerate(power_dbm):
        order = rng.permutation(num)
        target = np.empty(num, dtype=int)
        target[order] = per_transmitter.step(
            order, measured[order], serving_cell=cells[order], at_s=0.04 * k
        )
        for row in range(num):
            (single,) = alone[row].step(
                SLOT, measured[row : row + 1], serving_cell=cells[row : row + 1], at_s=0.04 * k
            )
            assert single == target[row]
        cells = np.where(target == NO_TARGET, cells, target)
