"""A transfer that is followed alone leaves the rows and joules that solves would give it."""

import numpy as np
import pytest
import simpy

from netsim.config.radio import BackgroundShare, StarBackhaul, TddDuplex
from netsim.config.world import StaticMobility
from netsim.engines import lone_transfer
from netsim.engines.lone_transfer import LoneTransfers
from tests.netsim.worlds import TWO_SITES, dead, make_network, plain_radio, still_world

PLACES = ((60.0, 0.0), (200.0, 0.0), (600.0, 0.0), (4500.0, 0.0))
SIZES_BYTES = (100, 3_000, 40_000, 900_000)
GAPS_S = (0.0, 0.0005, 0.003, 0.02, 0.5, 0.5)


@pytest.fixture
def followed(monkeypatch):
    """Collect the transfers that are followed alone."""
    found = []
    find = LoneTransfers.find

    def note(self, transfer, **arguments):
        lone = find(self, transfer, **arguments)
        if lone is not None:
            found.append(lone)
        return lone

    monkeypatch.setattr(LoneTransfers, "find", note)
    return found


def happen(changes, *, seed, world=None):
    """Send, cancel, and ask for joules at random; return all that is told."""
    world = still_world(PLACES, line_of_sight="never") if world is None else world
    env, network = make_network(world, plain_radio(**changes), num_clients=len(PLACES))
    rng = np.random.default_rng(seed)
    told, sent = [], []

    def send():
        for number in range(120):
            client_id, size_bytes = int(rng.integers(len(PLACES))), int(rng.choice(SIZES_BYTES))
            direction = str(rng.choice(["uplink", "downlink"]))
            timeout_s = float(rng.choice([0.004, 0.02, 0.3]))
            sent.append(network.send(client_id, direction, size_bytes, timeout_s=timeout_s))
            yield env.timeout(float(rng.choice(GAPS_S)))
            if number % 7 == 0:
                sent[-1].cancel("gone")
            if number % 5 == 0:
                ids, now_s = np.arange(len(PLACES)), float(env.now)
                told.append(network.energy.client_energy_j(ids, now_s).tolist())
                told.append(network.energy.site_energy_j(now_s))

    env.process(send())
    env.run(until=200.0)
    told += network.energy.totals(200.0)
    return [*told, *network.transfers(), *network.positions()], [each.event.value for each in sent]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"duplex": TddDuplex(uplink_fraction=0.3)},
        {"backhaul": StarBackhaul(latency_s=0.005)},
        {"background_load": BackgroundShare(downlink_fraction=0.5, uplink_fraction=0.3)},
    ],
)
def test_rows_and_joules_are_those_of_solves(changes, followed, monkeypatch):
    alone = [happen(changes, seed=seed) for seed in range(5)]
    assert len(followed) > 16
    assert sum(each.record is not None for each in followed) > 0
    assert {row.status for _, rows in alone for row in rows} >= {"delivered", "timeout", "gone"}
    monkeypatch.setattr(LoneTransfers, "find", lambda _self, _transfer, **_: None)
    assert [happen(changes, seed=seed) for seed in range(5)] == alone


@pytest.mark.parametrize(
    ("changes", "world"),
    [
        ({"outages": (dead(0, 3.0, 5.0),)}, {}),
        ({"scheduler": "proportional_fair"}, {}),
        ({}, {"layout": TWO_SITES}),
    ],
)
def test_nobody_is_followed_where_something_else_may_happen(changes, world, followed):
    happen(changes, seed=1, world=still_world(PLACES, **world))
    assert not followed


def test_a_second_transfer_ends_the_following(monkeypatch):
    booked = []
    monkeypatch.setattr(lone_transfer, "book_lone", lambda *_, **__: booked.append(1))
    world = still_world(PLACES[:1], mobility=StaticMobility(positions_m=PLACES[:2]))
    env, network = make_network(world, plain_radio(), num_clients=2)
    for client_id in (0, 1):
        for _ in range(2):
            env.run(until=network.send(client_id, "uplink", 40_000).event)
    both = [network.send(0, "uplink", 900_000)]
    env.run(until=env.now + 0.01)
    both.append(network.send(1, "uplink", 900_000))
    env.run(until=simpy.AllOf(env, [each.event for each in both]))
    first, second = (each.event.value for each in both)
    assert first.num_resource_blocks < network.air.uplink_blocks
    assert second.finished_at_s > first.finished_at_s
