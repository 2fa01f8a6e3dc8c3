"""What every kind of movement must do; the table of kinds drives the tests."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.config.world import (
    GaussMarkovMobility,
    HexagonalLayout,
    ManhattanMobility,
    RandomDirectionMobility,
    RandomWaypointMobility,
    SingleCellLayout,
    StaticMobility,
    TraceMobility,
)
from netsim.world.layout import build_layout
from netsim.world.mobility import TRAJECTORIES, make_trajectory

AREAS = {
    "disc": build_layout(SingleCellLayout(radius_m=80.0)).area,
    "hexagons": build_layout(HexagonalLayout(num_sites=7, isd_m=60.0)).area,
}
FASTEST_MPS = {
    StaticMobility: 0.0,
    RandomWaypointMobility: 20.0,
    RandomDirectionMobility: 10.0,
    GaussMarkovMobility: 5.0 + 8 * 2.0,
    ManhattanMobility: 6.0,
    TraceMobility: 5.0,
}


def write_trace():
    path = Path(tempfile.mkdtemp(prefix="airtune-trace-")) / "walk.csv"
    rows = [f"{c},{10 * k},{30 * (k % 2)},{20 * (c % 2)}" for c in range(4) for k in range(40)]
    path.write_text("client_id,at_s,x_m,y_m\n" + "\n".join(rows) + "\n")
    return str(path)


CONFIGS = {
    StaticMobility: StaticMobility(),
    RandomWaypointMobility: RandomWaypointMobility(
        min_speed_mps=1.0, max_speed_mps=20.0, pause_s=3.0
    ),
    RandomDirectionMobility: RandomDirectionMobility(speed_mps=10.0),
    GaussMarkovMobility: GaussMarkovMobility(mean_speed_mps=5.0, speed_std_mps=2.0),
    ManhattanMobility: ManhattanMobility(block_m=20.0, speed_mps=4.0),
    TraceMobility: TraceMobility(path=write_trace()),
}
every_mobility = pytest.mark.parametrize("kind", TRAJECTORIES, ids=lambda cls: cls.__name__)
every_drawn_mobility = pytest.mark.parametrize(
    "kind",
    [kind for kind in TRAJECTORIES if kind not in (StaticMobility, TraceMobility)],
    ids=lambda cls: cls.__name__,
)


def make(config, *, area=AREAS["hexagons"], seed=1, client_id=0):
    start_m = area.place(np.random.default_rng(client_id).random((1, 3)))[0]
    return make_trajectory(config, area=area, seed=seed, client_id=client_id, start_m=start_m)


def test_the_table_is_not_empty():
    assert TRAJECTORIES


@every_mobility
@pytest.mark.parametrize("area_name", AREAS)
def test_stays_in_the_area(kind, area_name):
    area = AREAS[area_name]
    for client_id in range(4):
        path = make(CONFIGS[kind], area=area, client_id=client_id)
        position_m = np.array([path.position_m(at_s) for at_s in np.linspace(0, 300, 400)])
        assert area.contains(position_m).all()


@every_mobility
@settings(max_examples=20, deadline=None)
@given(instants=st.lists(st.floats(0, 500), min_size=1, max_size=12))
def test_order_of_questions_is_irrelevant(kind, instants):
    one, other = make(CONFIGS[kind]), make(CONFIGS[kind])
    there = {at_s: (*one.position_m(at_s), one.speed_mps(at_s)) for at_s in instants}
    for at_s in reversed(instants):
        assert (*other.position_m(at_s), other.speed_mps(at_s)) == there[at_s]


@every_mobility
def test_speed_is_bounded_and_is_that_of_the_path(kind):
    path, step_s = make(CONFIGS[kind]), 1e-3
    fastest_mps = FASTEST_MPS[kind] * (1 + 1e-12)
    for at_s in np.linspace(0.5, 350, 300):
        speed_mps = path.speed_mps(at_s)
        assert 0 <= speed_mps <= fastest_mps
        moved_m = np.hypot(*(path.position_m(at_s + step_s) - path.position_m(at_s)))
        assert moved_m <= fastest_mps * step_s + 1e-9
        if path.speed_mps(at_s + step_s) == speed_mps and moved_m > 0.99 * speed_mps * step_s:
            assert moved_m == pytest.approx(speed_mps * step_s, rel=1e-6, abs=1e-9)


@every_mobility
@settings(max_examples=20, deadline=None)
@given(at_s=st.floats(0, 300), side_m=st.floats(0.5, 30), part=st.floats(0.01, 0.99))
def test_leaves_a_box_when_it_says(kind, at_s, side_m, part):
    path, longest_s, step_s = make(CONFIGS[kind]), 20.0, 0.01
    lowest_m = path.position_m(at_s) - part * side_m
    corners = {"lowest_m": lowest_m, "highest_m": lowest_m + side_m}

    def border_m(instant_s):
        place_m = path.position_m(instant_s)
        return min((place_m - lowest_m).min(), (corners["highest_m"] - place_m).min())

    leaves_at_s = path.stays_until_s(at_s, **corners)
    while leaves_at_s < at_s + longest_s and border_m(leaves_at_s) > 1e-9:  # it has turned
        turns_at_s = leaves_at_s
        leaves_at_s = path.stays_until_s(turns_at_s, **corners)
        assert leaves_at_s > turns_at_s
    stays_until_s = min(leaves_at_s, at_s + longest_s)
    assert min(border_m(float(s)) for s in np.arange(at_s, stays_until_s, step_s)) > -1e-9
    if leaves_at_s < at_s + longest_s:
        assert border_m(leaves_at_s + 1e-6) < 1e-9


@every_drawn_mobility
def test_clients_and_seeds_differ(kind):
    config = CONFIGS[kind]
    base = make(config).position_m(20.0)
    assert not np.allclose(base, make(config, seed=2).position_m(20.0))
    assert not np.allclose(base, make(config, client_id=1).position_m(20.0))


@pytest.mark.parametrize("at_s", [-1.0, float("nan"), float("inf")])
@every_drawn_mobility
def test_instants_that_are_none_are_refused(kind, at_s):
    with pytest.raises(ValueError, match="at_s: must be >= 0"):
        make(CONFIGS[kind]).position_m(at_s)
