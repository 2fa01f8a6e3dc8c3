"""Users who are not part of the run: a busy cell is a processor that all files share."""

import numpy as np
import pytest

from netsim.config.radio import BackgroundShare, BackgroundUsers
from netsim.config.world import RandomWaypointMobility, SingleCellLayout
from netsim.engines.flow import FlowEngine
from netsim.transport.background_traffic import FIRST_FILE, FileCounts
from netsim.world.population import FIRST_BACKGROUND_USER
from tests.netsim.theory.processor_sharing import busy_s, sojourn_s
from tests.netsim.transport.test_background_traffic import arrivals
from tests.netsim.worlds import (
    NEAR_0,
    dead,
    ignore_block_sizes,
    make_network,
    plain_radio,
    run_all,
    still_world,
    two_sites,
)

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")

FILE_BYTES = 500_000
NUM_USERS = 20
WORLD = still_world([(60.0, 0.0)], layout=SingleCellLayout(radius_m=120.0))
"""Everybody has the highest MCS in the downlink."""


def alone_s(direction, engine="flow", size_bytes=FILE_BYTES):
    """How long a client takes in the empty cell."""
    env, network = make_network(WORLD, plain_radio(engine=engine))
    (row,) = run_all(env, [network.send(0, direction, size_bytes)])
    return row.finished_at_s


def users(load, direction="downlink", *, work_s, **changes):
    """Background users whose files take a share of the time of the cell, from empty."""
    rate_hz = load / work_s / NUM_USERS
    settings = {
        f"{direction}_files_per_s": rate_hz,
        "file_bytes": FILE_BYTES,
        "warm_up_s": 0.0,
    }
    return BackgroundUsers(num_users=NUM_USERS, **(settings | changes))


def probes(background, direction, *, engine="flow", at_s, seed=1, size_bytes=FILE_BYTES):
    """Times of transfers of a client that are asked for at given instants; the network after."""
    env, network = make_network(
        WORLD, plain_radio(engine=engine, background_load=background), seed=seed
    )
    sent = []
    for each_s in at_s:
        env.run(until=each_s)
        sent.append(network.send(0, direction, size_bytes))
    rows = run_all(env, sent)
    assert all(row.status == "delivered" for row in rows)
    return np.array([row.finished_at_s - row.requested_at_s for row in rows]), network


@pytest.mark.parametrize(("direction", "load"), [("downlink", 0.5), ("uplink", 0.5),
                                                 ("downlink", 0.9)])  # fmt: skip
def test_times_are_those_of_a_shared_processor(direction, load, monkeypatch, ladder):
    """Of which the mean is x / (1 - load): see ``theory/test_processor_sharing.py``."""
    ignore_block_sizes(monkeypatch)
    work_s = alone_s(direction)
    background = users(load, direction, work_s=work_s)
    at_s = np.arange(0.5, 8.0, 0.5)
    times_s, network = probes(background, direction, at_s=at_s)
    files = arrivals(background, seed=1, until_s=60.0)
    arrival_s = np.append([each.requested_at_s for each in files], at_s)
    order = np.argsort(arrival_s)
    stay_s = np.empty(len(order))
    stay_s[order] = sojourn_s(arrival_s[order], np.full(len(order), work_s))
    ladder.near(
        28,
        f"transfer times beside files of others at load {load:g}, flow engine",
        source="a shared processor with the same arrivals",
        measured=times_s,
        expected=stay_s[-len(at_s) :],
        rel=1e-6,
        unit="s",
    )
    # And whoever radiates is busy for that time, which is what it costs the site.
    until_s = float(at_s[-1] + times_s[-1])
    busy = busy_s(arrival_s[order], np.full(len(order), work_s), until_s=until_s)
    activity = "tx" if direction == "downlink" else "rx"
    (site,) = (t for t in network.energy.totals(until_s) if t.activity == activity)
    assert (site.owner, site.seconds) == ("site", pytest.approx(busy, rel=1e-6))


def test_a_site_radiates_for_the_share_of_time_that_it_is_busy():
    work_s = alone_s("downlink")
    env, network = make_network(WORLD, plain_radio())
    run_all(env, [network.send(0, "downlink", FILE_BYTES)])
    (alone,) = (t for t in network.energy.totals(env.now) if t.activity == "tx")
    env, network = make_network(
        WORLD, plain_radio(background_load=users(0.5, work_s=work_s)), seed=2
    )
    env.run(until=20.0)
    (busy,) = (t for t in network.energy.totals(20.0) if t.activity == "tx")
    assert busy.energy_j / busy.seconds == pytest.approx(alone.energy_j / alone.seconds, rel=1e-3)
    assert busy.seconds / 20.0 == pytest.approx(0.5, abs=0.12)  # 200 files: 3 standard deviations


def test_both_engines_agree(ladder):
    at_s = np.arange(0.3, 2.0, 0.3)
    background = users(0.5, work_s=alone_s("downlink"))
    flow_s, _ = probes(background, "downlink", at_s=at_s)
    slot_s, _ = probes(background, "downlink", engine="slot", at_s=at_s)
    assert flow_s.max() > 1.5 * flow_s.min()
    ladder.near(
        28,
        "mean transfer time beside files of others at load 0.5, slot engine",
        source="flow engine, same files",
        measured=slot_s.mean(),
        expected=flow_s.mean(),
        rel=0.03,
        unit="s",
    )


def test_users_are_no_clients():
    """They have no rows, no positions and no joules; clients are numbered as ever."""
    work_s = alone_s("downlink")
    background = users(0.5, work_s=work_s, uplink_files_per_s=1.0)
    env, network = make_network(WORLD, plain_radio(background_load=background))
    env.run(until=2.0)
    assert network.energy.total_energy_j(2.0) == 0.0
    assert network.transfers() == network.positions() == []
    run_all(env, [network.send(0, direction, 10**6) for direction in ("uplink", "downlink")])
    rows = network.transfers()
    assert sorted((row.transfer_id, row.client_id) for row in rows) == [(0, 0), (1, 0)]
    assert {each.client_id for each in network.positions()} == {0}
    owners = {(t.owner, t.owner_id) for t in network.energy.totals(env.now)}
    assert owners == {("client", 0), ("site", 0)}
    booked_j = sum(row.energy_j for row in rows)
    last_s = max(row.finished_at_s for row in rows)
    assert network.energy.total_energy_j(last_s) == pytest.approx(booked_j, rel=1e-9)


def test_the_same_seed_has_the_same_files_whatever_clients_do(monkeypatch):
    seen = []
    admit = FlowEngine.admit

    def noted(self, transfer, **settings):
        if transfer.transfer_id >= FIRST_FILE:
            seen.append((transfer.client_id, transfer.direction, transfer.requested_at_s))
        admit(self, transfer, **settings)

    monkeypatch.setattr(FlowEngine, "admit", noted)
    found = []
    for scheduler, num_clients, seed in (
        ("round_robin", 1, 1), ("max_ci", 7, 1), ("round_robin", 1, 2)
    ):  # fmt: skip
        seen.clear()
        background = users(0.5, work_s=0.05, uplink_files_per_s=0.1)
        world = still_world([(60.0, 0.0)] * num_clients, layout=SingleCellLayout(radius_m=120.0))
        env, network = make_network(
            world, plain_radio(scheduler=scheduler, background_load=background), seed=seed
        )
        for k in range(num_clients):
            network.send(k, "downlink", 10**6)
        env.run(until=3.0)
        ids = np.arange(NUM_USERS) + FIRST_BACKGROUND_USER
        places_m = network._channel.population.positions_m(ids, at_s=3.0)
        found.append((list(seen), places_m.tolist()))
    assert len(found[0][0]) > 20
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]


def test_users_stand_still_where_clients_move():
    world = still_world([(0.0, 0.0)], mobility=RandomWaypointMobility())
    background = users(0.2, work_s=0.05)
    env, network = make_network(world, plain_radio(background_load=background), num_clients=1)
    ids = np.arange(NUM_USERS) + FIRST_BACKGROUND_USER
    population = network._channel.population
    before_m = population.positions_m(ids, at_s=0.0)
    assert (population.positions_m(ids, at_s=100.0) == before_m).all()
    assert len(np.unique(before_m, axis=0)) == NUM_USERS
    (row,) = run_all(env, [network.send(0, "uplink", 10**6)])
    assert row.status == "delivered"


def test_users_disturb_other_cells():
    sinr_db = {}
    for background in (
        BackgroundShare(),
        BackgroundUsers(
            num_users=30, downlink_files_per_s=0.2, uplink_files_per_s=0.2, warm_up_s=0
        ),
    ):
        env, network = two_sites([NEAR_0], background_load=background)
        env.run(until=0.5)
        rows = run_all(env, [network.send(0, way, 300_000) for way in ("uplink", "downlink")])
        sinr_db[background.kind] = [row.mean_sinr_db for row in rows]
    assert all(np.array(sinr_db["users"]) < np.array(sinr_db["share"]) - 0.05)


def test_files_that_nobody_can_send_are_given_up():
    """The only site is down: those that have come within the last second are left."""
    background = users(0.5, work_s=0.05, give_up_after_s=1.0)
    env, network = make_network(
        WORLD, plain_radio(background_load=background, outages=(dead(0, 0.0, 100.0),))
    )
    env.run(until=10.0)
    files = arrivals(background, seed=1, until_s=10.0)
    expected = [each.transfer_id for each in files if each.requested_at_s > 9.0]
    active = network._engine.active.records["transfer_id"]
    assert sorted(active.tolist()) == expected
    assert len(expected) > 3
    assert network.background_files == FileCounts(
        started=len(files), delivered=0, given_up=len(files) - len(expected)
    )


def test_files_are_counted():
    """All that have come are delivered but for those on the air: nobody waits that long."""
    background = users(0.5, work_s=0.05)
    env, network = make_network(WORLD, plain_radio(background_load=background))
    env.run(until=5.0)
    num_files = len(arrivals(background, seed=1, until_s=5.0))
    on_air = len(network._engine.active)
    assert network.background_files == FileCounts(
        started=num_files, delivered=num_files - on_air, given_up=0
    )
    assert make_network(WORLD, plain_radio())[1].background_files is None
