"""Links of clients that stand still are kept between connections, and change nothing."""

import numpy as np
import pytest

from netsim.config.radio import A3Handover, NoHandover, RayleighFading
from netsim.config.world import RandomWaypointMobility
from netsim.rrc import association
from netsim.rrc.association import Association
from tests.netsim.worlds import TWO_SITES, dead, make_network, plain_radio, still_world

PLACES = ((0.0, 50.0), (250.0, 0.0), (350.0, 20.0), (560.0, 0.0), (-1300.0, 700.0))
"""Near site 0, between the two, near site 1, hardly within reach."""
OUTAGES = (dead(0, 2.0, 4.0), dead(1, 6.0, 6.5), dead(0, 9.0, 9.25))


@pytest.fixture
def answers(monkeypatch):
    """Note what :meth:`Association.reconnect` answered."""
    found = []
    reconnect = Association.reconnect

    def note(self, slots):
        found.append(reconnect(self, slots))
        return found[-1]

    monkeypatch.setattr(Association, "reconnect", note)
    return found


def run(radio, world=None, *, seed=1, engine="flow"):
    """Send files to and from clients, one by one and several at once; return all that is told."""
    world = still_world(PLACES, layout=TWO_SITES, line_of_sight="never") if world is None else world
    env, network = make_network(world, plain_radio(engine=engine, bandwidth_hz=5e6, **radio))
    rng = np.random.default_rng(seed)

    def send():
        for _ in range(30):
            for client_id in rng.choice(len(PLACES), int(rng.integers(1, 3)), replace=False):
                direction = str(rng.choice(["uplink", "downlink"]))
                network.send(int(client_id), direction, 20_000, timeout_s=1.0)
            yield env.timeout(float(rng.choice([0.01, 0.3, 0.8])))

    env.process(send())
    env.run(until=30.0)
    joules = network.energy.total_energy_j(30.0), network.energy.site_energy_j(30.0)
    return network.transfers(), network.positions(), joules


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("handover", [NoHandover(), A3Handover()])
@pytest.mark.parametrize("outages", [(), OUTAGES])
def test_rows_are_those_of_links_measured_each_time(outages, handover, seed, answers, monkeypatch):
    radio = {"outages": outages, "handover": handover}
    kept = run(radio, seed=seed)
    assert answers.count(True) > 10
    assert len({row.cell_id for row in kept[0]}) > 1
    monkeypatch.setattr(Association, "reconnect", lambda _self, _slots: False)
    assert run(radio, seed=seed) == kept


def test_the_slot_engine_keeps_them_too(answers, monkeypatch):
    kept = run({"outages": OUTAGES}, engine="slot")
    assert True in answers
    monkeypatch.setattr(Association, "reconnect", lambda _self, _slots: False)
    assert run({"outages": OUTAGES}, engine="slot") == kept


def test_beyond_a_number_all_are_forgotten(answers, monkeypatch):
    expected = run({})
    monkeypatch.setattr(association, "MOST_KNOWN", 1)
    del answers[:]
    assert run({}) == expected
    assert False in answers[10:]


@pytest.mark.parametrize("changes", [{"mobility": RandomWaypointMobility()}, {}])
def test_no_link_is_kept_where_something_varies(changes, answers):
    radio = {} if changes else {"fading": RayleighFading()}
    env, network = make_network(still_world(PLACES, **changes), plain_radio(**radio), num_clients=5)
    for _ in range(3):
        transfer = network.send(1, "uplink", 1000)
        env.run(until=transfer.event)
    assert answers == []
