"""Services of lone transfers are kept by link, and change no row."""

import numpy as np
import pytest
import simpy

from netsim.config.radio import (
    BackgroundShare,
    FddDuplex,
    RayleighFading,
    StarBackhaul,
    TddDuplex,
)
from netsim.config.world import RandomWaypointMobility
from netsim.engines.lone_service import LoneServices
from netsim.engines.lone_transfer import LoneTransfers
from netsim.transport.active_transfers import ActiveTransfers
from tests.netsim.worlds import TWO_SITES, dead, make_network, plain_radio, still_world

PLACES = ((60.0, 0.0), (200.0, 0.0), (600.0, 0.0), (4500.0, 0.0))
"""The last but one is at its power limit in the uplink, the last out of coverage."""
SIZES_BYTES = (3_000, 40_000, 40_000, 900_000)


@pytest.fixture
def alike(monkeypatch):
    """Count the transfers that got what was known of their link; none is followed alone."""
    monkeypatch.setattr(LoneTransfers, "find", lambda _self, _transfer, **_: None)
    calls = []
    serve_alike = ActiveTransfers.serve_alike

    def note(self, row, values, *, now_s):
        calls.append(values)
        serve_alike(self, row, values, now_s=now_s)

    monkeypatch.setattr(ActiveTransfers, "serve_alike", note)
    return calls


def rows_of(radio, world=None, *, seed=1):
    """Send one after another, some of them at once; return rows and joules."""
    world = still_world(PLACES, line_of_sight="never") if world is None else world
    env, network = make_network(world, radio, num_clients=len(PLACES))
    rng = np.random.default_rng(seed)

    def send():
        for _ in range(40):
            client_id, size_bytes = int(rng.integers(len(PLACES))), int(rng.choice(SIZES_BYTES))
            direction = str(rng.choice(["uplink", "downlink"]))
            network.send(client_id, direction, size_bytes, timeout_s=2.0)
            yield env.timeout(float(rng.choice([0.0, 0.003, 0.2, 1.0])))

    env.process(send())
    env.run(until=60.0)
    joules = network.energy.total_energy_j(60.0), network.energy.site_energy_j(60.0)
    return network.transfers(), joules


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"duplex": TddDuplex(uplink_fraction=0.3)},
        {"duplex": FddDuplex(), "outages": (dead(0, 3.0, 5.0),)},
        {"background_load": BackgroundShare(downlink_fraction=0.5, uplink_fraction=0.3)},
    ],
)
def test_rows_are_those_of_services_worked_out_each_time(changes, seed, alike, monkeypatch):
    radio = plain_radio(**changes)
    kept = rows_of(radio, seed=seed)
    assert len(alike) > 10
    monkeypatch.setattr(LoneServices, "known", lambda _self, _rows: None)
    del alike[:]
    assert rows_of(radio, seed=seed) == kept
    assert not alike
    assert len(kept[0]) == 40
    assert {row.status for row in kept[0]} >= {"delivered", "link_failure"}


def test_a_service_is_kept_for_each_direction_and_client(alike):
    env, network = make_network(still_world(PLACES[:3], line_of_sight="never"), plain_radio())
    for _ in range(2):
        for client_id in range(3):
            for direction in ("uplink", "downlink"):
                transfer = network.send(client_id, direction, 40_000)
                env.run(until=simpy.AllOf(env, [transfer.event]))
    first, second = network.transfers()[:6], network.transfers()
    assert second == []
    assert len(alike) == len(set(alike)) == 6  # each from its own first one
    assert len({row.mean_sinr_db for row in first}) == 6


@pytest.mark.parametrize(
    ("radio", "world"),
    [
        ({"fading": RayleighFading()}, {}),
        ({}, {"mobility": RandomWaypointMobility()}),
        ({}, {"layout": TWO_SITES}),
        ({"backhaul": StarBackhaul(rate_bps=1e9)}, {}),
        ({"scheduler": "proportional_fair"}, {}),
        ({"scheduler": "earliest_deadline"}, {}),
    ],
)
def test_nothing_is_kept_where_something_else_changes_the_service(radio, world, alike):
    rows, _ = rows_of(plain_radio(**radio), still_world(PLACES, **world))
    assert rows
    assert not alike
