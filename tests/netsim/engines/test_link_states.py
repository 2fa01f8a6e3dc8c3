"""Links of clients as columns: order, repeats, nobody, who is out of coverage."""

import numpy as np
import pytest
import simpy

from netsim.config import RadioConfig, WorldConfig
from netsim.config.world import HexagonalLayout
from netsim.network import CellularNetwork


def network():
    world = WorldConfig(environment="uma", layout=HexagonalLayout(), carrier_hz=3.5e9)
    radio = RadioConfig(bandwidth_hz=20e6, subcarrier_spacing_hz=30e3, access=None)
    return CellularNetwork(simpy.Environment(), world, radio, num_clients=12, seed=5)


def test_columns_come_in_the_order_asked_for():
    asked = network()
    every, some = asked.link_table(range(12)), asked.link_table([7, 2, 7, 11])
    for name in every.__slots__:
        np.testing.assert_array_equal(getattr(some, name), getattr(every, name)[[7, 2, 7, 11]])
    assert len(np.unique(every.mean_snr_db)) == 12


def test_rates_of_one_direction_are_those_of_the_table():
    asked = network()
    table, some = asked.link_table(range(12)), [7, 2, 7, 11]
    up_bps, down_bps = (
        asked._reporter.rate_bps(np.array(some), is_uplink=is_uplink, now_s=0.0)
        for is_uplink in (True, False)
    )
    np.testing.assert_array_equal(up_bps, table.uplink_rate_bps[some])
    np.testing.assert_array_equal(down_bps, table.downlink_rate_bps[some])
    assert (up_bps != down_bps).any()


def test_what_other_cells_send_lowers_the_rate_of_the_downlink():
    asked = network()
    quiet = asked.link_table(range(12))
    loudest = int(quiet.downlink_rate_bps.argmax())
    transfer = asked.send(loudest, "downlink", 50_000_000)
    asked._env.run(until=0.6)
    assert transfer.event.triggered is False
    loud = asked.link_table(range(12))
    is_other = loud.cell_id != loud.cell_id[loudest]
    left = loud.downlink_rate_bps[is_other] / quiet.downlink_rate_bps[is_other]
    assert left.min() < 0.5


def test_sites_are_those_of_the_cells():
    asked = network()
    links = asked.link_table(range(12))
    is_covered = links.cell_id >= 0
    assert is_covered.any()
    expected = asked.layout.cell_site_id[links.cell_id[is_covered]]
    np.testing.assert_array_equal(links.site_id[is_covered], expected)
    assert (links.uplink_rate_bps[is_covered] > 0).all()


def test_an_upload_alone_costs_the_power_of_the_table():
    """Joules of a short upload by a client that has the band to itself: power by time on air."""
    asked = network()
    client_id = int(asked.link_table(range(12)).uplink_rate_bps.argmax())
    power_w = asked.link_table([client_id]).uplink_w[0]
    row = asked._env.run(until=asked.send(client_id, "uplink", 200_000).event)
    assert row.status == "delivered"
    spent_j = row.energy_j / (row.finished_at_s - row.started_at_s)
    assert spent_j == pytest.approx(power_w, rel=0.05)


def test_nobody_has_empty_columns():
    links = network().link_table([])
    assert {len(getattr(links, name)) for name in links.__slots__} == {0}


def test_who_is_connected_is_told_with_its_own_cell():
    asked = network()
    strongest = asked.link_table(range(12)).cell_id
    for client_id in (9, 2):
        asked.send(client_id, "uplink", 50_000_000)
    asked._env.run(until=1e-3)
    links, other = asked._engine.links, (strongest[[9, 2]] + 1) % len(asked.layout.cell_site_id)
    links.serve(links.slots, other)
    expected = strongest.copy()
    expected[[9, 2]] = other
    np.testing.assert_array_equal(asked.link_table(range(12)).cell_id, expected)
    some = [11, 2, 11, 0]
    np.testing.assert_array_equal(asked.link_table(some).cell_id, expected[some])


@pytest.mark.parametrize("ids", [[3, 12], np.array([3, 12]), np.array([-1, 3])])
def test_an_unknown_client_is_refused_in_an_array_as_in_a_list(ids):
    wrong = next(each for each in ids if not 0 <= each < 12)
    with pytest.raises(ValueError, match=rf"^client_id: must be 0 to 11, got {wrong}$"):
        network().link_table(ids)
