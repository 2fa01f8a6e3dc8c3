"""Margins that cells remember of their clients, and where those of others start."""

import numpy as np
import pytest

from netsim.config.radio import RayleighFading
from netsim.config.world import RandomDirectionMobility
from netsim.engines.outer_loop_margins import REMEMBERED_S, OuterLoopMargins, Server
from netsim.phy.harq import ROUND_TRIP_SLOTS
from netsim.phy.outer_loop import OuterLoop
from netsim.transport.active_transfers import DOWNLINK, UPLINK
from tests.netsim.worlds import make_network, plain_radio, still_world

ROW = np.array([0])
NONE_LEFT = np.array([False])


def margin_after_db(server, *, slot):
    """Margin with which a server goes on after client 7 left cell 3 with 0.1 dB in slot 8."""
    margins = OuterLoopMargins(OuterLoop(), remembered_slots=1000)
    margins.add()
    margins.listen(0)
    margins.start(ROW, [Server(7, UPLINK, 3)], initial_db=np.zeros(1))
    no = np.array([False])
    margins.report(ROW, is_received=no, is_lowest=no, is_highest=no)
    margins.listen(ROUND_TRIP_SLOTS)
    margins.keep(NONE_LEFT)
    margins.add()
    margins.listen(slot)
    assert not margins.is_started(ROW, np.array([server.cell_id])).any()
    margins.start(ROW, [server], initial_db=np.array([2.5]))
    assert margins.is_started(ROW, np.array([server.cell_id])).all()
    return margins.margin_db[0]


@pytest.mark.parametrize(
    ("server", "slot", "margin_db"),
    [
        (Server(7, UPLINK, 3), 100, 0.1),
        (Server(7, UPLINK, 3), 1008, 0.1),
        (Server(7, UPLINK, 3), 1009, 2.5),  # it was released
        (Server(7, UPLINK, 4), 100, 2.5),  # another cell
        (Server(7, DOWNLINK, 3), 100, 2.5),
        (Server(8, UPLINK, 3), 100, 2.5),
    ],
)
def test_a_cell_remembers_its_own_clients_for_a_while(server, slot, margin_db):
    assert margin_after_db(server, slot=slot) == pytest.approx(margin_db)


def test_a_handover_starts_anew():
    """What was sent to the old cell says nothing of the new one, acknowledged or not."""
    margins = OuterLoopMargins(OuterLoop(), remembered_slots=1000)
    margins.add()
    margins.start(ROW, [Server(7, UPLINK, 3)], initial_db=np.zeros(1))
    no = np.array([False])
    margins.report(ROW, is_received=no, is_lowest=no, is_highest=no)
    margins.start(ROW, [Server(7, UPLINK, 4)], initial_db=np.array([2.5]))
    margins.listen(2 * ROUND_TRIP_SLOTS)
    assert margins.margin_db.tolist() == [2.5]


def test_the_slot_engine_starts_where_the_loop_settles():
    """A vehicle's first upload, one a second later, and one after its release."""
    world = still_world([(0.0, 0.0)], mobility=RandomDirectionMobility(speed_mps=120 / 3.6))
    radio = plain_radio(engine="slot", fading=RayleighFading())
    env, network = make_network(world, radio, num_clients=1)
    margins = network._engine._exchange._loop
    begun, start = [], margins.start

    def watch(rows, servers, *, initial_db):
        start(rows, servers, initial_db=initial_db)
        begun.append((float(initial_db[0]), float(margins.margin_db[rows[0]])))

    margins.start = watch
    ended_db = []
    for pause_s in (1.0, 1.1 * REMEMBERED_S, 0.1):
        env.run(until=network.send(0, "uplink", 100_000).event)
        ended_db.append(next(iter(margins._memory.values()))[2])
        env.run(until=env.now + pause_s)
    assert begun[0][0] == begun[0][1] > 6.0
    assert begun[1][1] == ended_db[0] != begun[1][0]
    assert begun[2][0] == begun[2][1]
    assert np.mean(ended_db) == pytest.approx(np.mean([each[0] for each in begun]), abs=1.5)
