"""Where clients were and who served them, against the network and by hand."""

import math

import numpy as np
import pytest

from netsim.config.radio import A3Handover
from netsim.config.world import (
    CorrelatedShadowing,
    HexagonalLayout,
    RandomDirectionMobility,
    SingleCellLayout,
    TraceMobility,
)
from tests.netsim.worlds import (
    NEAR_0,
    NEAR_1,
    TWO_SITES,
    dead,
    make_network,
    plain_radio,
    run_all,
    still_world,
    two_sites,
)


def as_tuples(network):
    return [(r.client_id, r.x_m, r.y_m, r.cell_id, r.distance_m) for r in network.positions()]


def test_a_client_that_stands_still_has_one_row():
    env, network = two_sites([NEAR_0, (500.0, 30.0)])
    for _ in range(3):
        run_all(env, [network.send(k, "uplink", 10_000) for k in (1, 0)])
    assert as_tuples(network) == [
        (1, 500.0, 30.0, 1, pytest.approx(math.hypot(100, 30), abs=1e-3)),
        (0, 100.0, 0.0, 0, 100.0),
    ]
    assert network.positions() == []


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_a_change_of_cell_has_a_row_at_its_time(engine):
    """The site fails at 0.2 s: the client joins the other one, 500 m away, at once."""
    env, network = two_sites([NEAR_0], engine=engine, outages=[dead(0, 0.2, 50.0)])
    (row,) = run_all(env, [network.send(0, "uplink", 2_000_000)])
    first, second = network.positions()
    assert (first.at_s, first.cell_id, first.distance_m) == (0.0, 0, 100.0)
    assert (second.cell_id, second.distance_m) == (1, 500.0)
    assert second.at_s == pytest.approx(0.2, abs=1e-3)
    assert (row.cell_id, row.handovers) == (1, 1)


def test_a_client_without_a_cell_has_no_distance():
    world = still_world([(0.0, 60.0)], layout=SingleCellLayout())
    env, network = make_network(world, plain_radio(outages=(dead(0, 0.0, 9.0),)))
    run_all(env, [network.send(0, "uplink", 1_000, timeout_s=0.5)])
    assert as_tuples(network) == [(0, 0.0, 60.0, -1, None)]


def test_a_walk_is_where_the_network_says_at_both_ends_and_at_a_handover(tmp_path):
    """From one site to the other along the x axis at 50 m/s; y is that of the trace."""
    path = tmp_path / "walk.csv"
    path.write_text("client_id,at_s,x_m,y_m\n0,0,100,0\n0,8,500,40\n")
    world = still_world([NEAR_1], layout=TWO_SITES, mobility=TraceMobility(path=str(path)))
    radio = plain_radio(handover=A3Handover())
    env, network = make_network(world, radio, num_clients=1)
    (row,) = run_all(env, [network.send(0, "downlink", 10**9, timeout_s=7.0)])
    start, change, end = network.positions()
    assert (start.at_s, change.at_s < end.at_s, end.at_s) == (0.0, True, 7.0)
    assert [each.cell_id for each in (start, change, end)] == [0, 1, 1]
    assert row.handovers == 1
    for each in (start, change, end):
        x_m, y_m = 100 + 50 * each.at_s, 5 * each.at_s
        site_x_m = (0.0, 600.0)[each.cell_id]
        assert (each.x_m, each.y_m) == pytest.approx((x_m, y_m), abs=1e-3)
        assert each.distance_m == pytest.approx(math.hypot(x_m - site_x_m, y_m), abs=1e-3)
    assert (end.x_m, end.y_m) == pytest.approx(network.positions_m([0])[0], abs=1e-3)


def test_rows_are_in_order_bounded_and_those_of_the_network_with_wrap_around():
    """Two rows a transfer and one a handover at most; distances are to the nearest copy."""
    world = still_world(
        [NEAR_0],
        layout=HexagonalLayout(num_sites=7, isd_m=500.0, wraparound=True),
        mobility=RandomDirectionMobility(speed_mps=20.0),
        shadowing=CorrelatedShadowing(),
        line_of_sight="never",
    )
    env, network = make_network(world, plain_radio(handover=A3Handover()), num_clients=30)
    everyone = list(range(30))
    transfers, rows, plain_m = [], [], []
    for _ in range(4):
        transfers += run_all(env, [network.send(k, "uplink", 300_000) for k in everyone])
        place_m = network.positions_m(everyone)
        noted = network.positions()
        rows += noted
        last = {r.client_id: r for r in noted if r.at_s == env.now}
        assert last
        for client_id, each in last.items():
            assert (each.x_m, each.y_m) == pytest.approx(place_m[client_id], abs=1e-3)
            site_id = network.layout.cells[each.cell_id].site_id
            reach_m = network.layout.distance_m(place_m[[client_id]])[0]
            assert each.distance_m == pytest.approx(reach_m[site_id], abs=1e-3)
        env.run(until=env.now + 3.0)
    assert [r.at_s for r in rows] == sorted(r.at_s for r in rows)
    assert len(rows) <= 2 * len(transfers) + sum(t.handovers for t in transfers)
    for each in rows:
        site = network.layout.sites[network.layout.cells[each.cell_id].site_id]
        plain_m.append(math.hypot(each.x_m - site.x_m, each.y_m - site.y_m))
    own_m = np.array([r.distance_m for r in rows])
    assert (own_m <= np.array(plain_m) + 2e-3).all()
    assert (own_m < np.array(plain_m) - 100).any()
