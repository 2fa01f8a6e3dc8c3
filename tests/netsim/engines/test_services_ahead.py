"""Services of later ticks are worked out ahead, and change no row."""

from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest

from netsim.config.radio import (
    FddDuplex,
    NoFading,
    RayleighFading,
    StarBackhaul,
    TdlFading,
)
from netsim.config.world import RandomDirectionMobility, RandomWaypointMobility
from netsim.engines.services_ahead import ServicesAhead
from tests.netsim.worlds import TWO_SITES, dead, make_network, plain_radio, still_world

PLACES = ((60.0, 0.0), (200.0, 0.0), (600.0, 0.0), (1500.0, 0.0))
"""The last ones are at their power limit in the uplink."""


@pytest.fixture
def asked(monkeypatch):
    """Count how often a service was known when a solve asked for it."""
    count = Counter()
    take = ServicesAhead.take

    def note(self, served, now_s):
        service = take(self, served, now_s)
        count[service is not None] += 1
        return service

    monkeypatch.setattr(ServicesAhead, "take", note)
    return count


def rows_of(radio, world, *, seed=1, num_transfers=25):
    """Send one after another, some of them at once; return rows and joules."""
    env, network = make_network(world, radio, num_clients=len(PLACES))
    rng = np.random.default_rng(seed)

    def send():
        for _ in range(num_transfers):
            client_id, size_bytes = int(rng.integers(len(PLACES))), int(rng.choice([4e4, 4e6]))
            direction = str(rng.choice(["uplink", "downlink"]))
            transfer = network.send(client_id, direction, size_bytes, timeout_s=4.0)
            yield env.timeout(float(rng.choice([0.0, 0.013, 0.2, 1.0])))
            if rng.random() < 0.1:
                transfer.cancel()

    env.process(send())
    env.run(until=60.0)
    joules = network.energy.total_energy_j(60.0), network.energy.site_energy_j(60.0)
    return network.transfers(), joules


def numbers_of(row):
    """Return the numbers of a row by name."""
    return {name: value for name, value in asdict(row).items() if isinstance(value, int | float)}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("radio", "world"),
    [
        ({"fading": RayleighFading()}, {}),
        ({"fading": TdlFading()}, {}),
        ({"fading": TdlFading()}, {"mobility": RandomWaypointMobility()}),
        ({"fading": RayleighFading()}, {"mobility": RandomDirectionMobility(speed_mps=30.0)}),
        ({"fading": TdlFading(), "duplex": FddDuplex(), "outages": (dead(0, 3.0, 5.0),)}, {}),
    ],
)
def test_rows_are_those_of_services_worked_out_tick_by_tick(radio, world, seed, asked, monkeypatch):
    made_radio = plain_radio(**radio)
    made_world = still_world(PLACES, line_of_sight="never", **world)
    rows, joules = rows_of(made_radio, made_world, seed=seed)
    assert asked[True] > 50
    asked.clear()
    monkeypatch.setattr(ServicesAhead, "instants", lambda *_: None)
    expected, expected_j = rows_of(made_radio, made_world, seed=seed)
    assert not asked[True]
    assert len(rows) == 25
    for row, other in zip(rows, expected, strict=True):
        # Sums over groups and instants round otherwise.
        assert numbers_of(row) == pytest.approx(numbers_of(other), rel=1e-12)
        assert row.status == other.status
    assert joules == pytest.approx(expected_j, rel=1e-12)


@pytest.mark.parametrize(
    ("radio", "world"),
    [
        ({"fading": NoFading()}, {}),
        ({}, {"layout": TWO_SITES}),
        ({"backhaul": StarBackhaul(rate_bps=1e9)}, {}),
        ({"scheduler": "proportional_fair"}, {}),
        ({"scheduler": "earliest_deadline"}, {}),
    ],
)
def test_nothing_is_worked_out_ahead_where_something_else_changes_the_service(radio, world, asked):
    radio = plain_radio(**{"fading": RayleighFading(), **radio})
    rows, _ = rows_of(radio, still_world(PLACES, **world))
    assert rows
    assert not asked[True]
