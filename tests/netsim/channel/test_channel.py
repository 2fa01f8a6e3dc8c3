"""Which speed sets the Doppler of a scenario, against values worked out by hand."""

from math import log

import numpy as np
import pytest

from netsim.channel.channel import (
    MIN_DOPPLER_SPEED_MPS,
    Channel,
    typical_speed_mps,
    waypoint_speed_mps,
)
from netsim.channel.line_of_sight import los_probability
from netsim.config import RadioConfig, WorldConfig
from netsim.config.world import (
    GaussMarkovMobility,
    IndoorOfficeLayout,
    ManhattanMobility,
    NoShadowing,
    RandomDirectionMobility,
    RandomWaypointMobility,
    SingleCellLayout,
    StaticMobility,
    TraceMobility,
)
from netsim.world.area import Rectangle
from netsim.world.layout import build_layout
from netsim.world.mobility import make_trajectory

CARRIER_HZ = 3e9


@pytest.mark.parametrize(
    ("mobility", "speed_mps"),
    [
        (StaticMobility(), 3 / 3.6),
        (RandomDirectionMobility(speed_mps=8.0), 8.0),
        (RandomDirectionMobility(speed_mps=0.1), 3 / 3.6),
        (ManhattanMobility(speed_mps=5.0), 5.0),
        (GaussMarkovMobility(mean_speed_mps=2.0), 2.0),
        (RandomWaypointMobility(min_speed_mps=1.0, max_speed_mps=20.0), 19 / log(20)),
        (RandomWaypointMobility(min_speed_mps=0.5, max_speed_mps=1.5), 1 / log(3)),
        (RandomWaypointMobility(min_speed_mps=7.0, max_speed_mps=7.0), 7.0),
    ],
)
def test_the_speed_of_each_mobility(mobility, speed_mps):
    assert typical_speed_mps(mobility) == pytest.approx(speed_mps, rel=1e-12)


def test_a_narrow_range_of_speeds_has_the_speed_of_its_middle():
    # (b - a) / ln(b / a) = a (1 + d / 2 + O(d^2)) with d = (b - a) / a.
    assert waypoint_speed_mps(10.0, 10.0 * (1 + 1e-12)) == pytest.approx(10.0, rel=1e-11)
    assert waypoint_speed_mps(10.0, 10.0 * (1 + 1e-5)) == pytest.approx(10.00005, rel=1e-10)


def test_random_waypoint_moves_at_that_speed():
    config = RandomWaypointMobility(min_speed_mps=1.0, max_speed_mps=20.0)
    # 400 paths, one independent sample of the stationary speed each.
    speeds = [
        make_trajectory(
            config, area=Rectangle(500.0, 500.0), seed=3, client_id=k, start_m=np.zeros(2)
        ).speed_mps(0.0)
        for k in range(400)
    ]
    assert np.mean(speeds) == pytest.approx(19 / log(20), abs=4 * np.std(speeds) / 20)
    assert abs(np.mean(speeds) - 10.5) > 4 * np.std(speeds) / 20


def trace(tmp_path, rows):
    path = tmp_path / "trace.csv"
    path.write_text("client_id,at_s,x_m,y_m\n" + rows, encoding="utf-8")
    return TraceMobility(path=str(path))


def test_a_vehicle_of_a_trace_has_the_mean_speed_of_its_path(tmp_path):
    # 50 m in 2 s, a stop of 10 s, 30 m in 2 s: 80 m in 4 s of driving.
    rows = "0,0,0,0\n0,2,30,40\n0,12,30,40\n0,14,60,40\n"
    assert typical_speed_mps(trace(tmp_path, rows)) == pytest.approx(20.0, rel=1e-12)


def test_clients_of_a_trace_count_by_their_moving_time(tmp_path):
    # 100 m in 10 s and 30 m in 30 s: 130 m in 40 s; the third stands still.
    rows = "0,0,0,0\n0,10,100,0\n1,0,0,0\n1,30,0,30\n2,0,5,5\n2,9,5,5\n"
    assert typical_speed_mps(trace(tmp_path, rows)) == pytest.approx(3.25, rel=1e-12)


def test_a_trace_without_motion_has_the_least_speed(tmp_path):
    assert typical_speed_mps(trace(tmp_path, "0,0,1,1\n")) == MIN_DOPPLER_SPEED_MPS
    assert typical_speed_mps(trace(tmp_path, "0,0,1,1\n0,5,1,1\n")) == MIN_DOPPLER_SPEED_MPS


def test_the_channel_uses_the_speed_of_the_trace(tmp_path):
    world = WorldConfig(
        environment="uma",
        layout=SingleCellLayout(),
        carrier_hz=CARRIER_HZ,
        mobility=trace(tmp_path, "0,0,20,0\n0,2,80,0\n"),
    )
    radio = RadioConfig(bandwidth_hz=20e6, subcarrier_spacing_hz=30e3)
    channel = Channel(world, radio, build_layout(world.layout), seed=1)
    assert channel.doppler_hz == pytest.approx(30 * CARRIER_HZ / 299_792_458, rel=1e-12)


def office_gains(position_m, office, line_of_sight):
    world = WorldConfig(
        environment="inh",
        layout=IndoorOfficeLayout(office=office),
        carrier_hz=CARRIER_HZ,
        line_of_sight=line_of_sight,
        shadowing=NoShadowing(),
    )
    radio = RadioConfig(bandwidth_hz=20e6, subcarrier_spacing_hz=30e3)
    channel = Channel(world, radio, build_layout(world.layout), seed=4)
    ids = np.arange(len(position_m))
    return channel.link_budget.gain_at(position_m, client_ids=ids)


@pytest.mark.parametrize("office", ["mixed", "open"])
def test_lines_of_sight_are_those_of_the_kind_of_office(office):
    layout = build_layout(IndoorOfficeLayout())
    position_m = layout.area.place(np.random.default_rng(1).random((3000, 3)))
    clear = office_gains(position_m, office, "always")
    found = office_gains(position_m, office, "probability") == clear
    distance_m = layout.distance_m(position_m)
    expected = los_probability("inh", distance_m, ue_height_m=1.0, office=office)
    # A field's states agree over 10 m: a floor holds some sixty independent ones for each of its 12
    # sites, which makes 0.02 of deviation at worst; the two kinds are 0.5 apart.
    assert found.mean() == pytest.approx(expected.mean(), abs=0.06)
    assert (found >= (office_gains(position_m, "mixed", "probability") == clear)).all()
