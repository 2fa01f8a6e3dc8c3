"""Powers of single cells: closed forms of SNR, association and energy; equal ones are one power."""

from dataclasses import replace
from math import log10

import numpy as np
import pytest

from netsim.config.radio import A3Handover
from netsim.config.sites import SiteConfig, SitesLayout
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")

PLANE = {"width_m": 3000.0, "height_m": 3000.0, "num_sectors": 1}


def sites(*powers_dbm, gap_m=600.0):
    return SitesLayout(
        sites=tuple(
            SiteConfig(x_m=index * gap_m, y_m=0.0, power_dbm=power_dbm)
            for index, power_dbm in enumerate(powers_dbm)
        ),
        **PLANE,
    )


def network(places, layout, *, num_clients=None, **radio):
    world = still_world(places, layout=layout, line_of_sight="never")
    return make_network(world, plain_radio(**radio), num_clients=num_clients)


def test_3_db_more_power_are_3_db_more_snr_downlink_and_nothing_uplink():
    places = [(100.0, 0.0), (500.0, 0.0)]
    before, after = (
        network(places, sites(None, power_dbm), site_power_dbm=40.0)[1].link_table([0, 1])
        for power_dbm in (40.0, 43.0)
    )
    np.testing.assert_allclose(after.mean_snr_db - before.mean_snr_db, [0.0, 3.0], atol=1e-9)
    np.testing.assert_array_equal(after.uplink_rate_bps, before.uplink_rate_bps)
    assert after.cell_id.tolist() == before.cell_id.tolist() == [0, 1]


@pytest.mark.parametrize(("power_dbm", "cell_id"), [(42.9, 0), (43.1, 1)])
def test_the_strongest_cell_is_the_one_with_the_most_received_power(power_dbm, cell_id):
    """Where path losses differ by 3 dB: UMa NLOS at slants in the ratio of 10^(3 / 39.08)."""
    ratio = 10 ** (3 / 39.08)
    near_m = (300.0, 23.5)
    far = ratio * np.hypot(*near_m)
    x_m = near_m[0]
    layout = sites(40.0, power_dbm, gap_m=x_m + float(np.sqrt(far**2 - 23.5**2)))
    table = network([(x_m, 0.0)], layout)[1].link_table([0])
    assert table.cell_id.tolist() == [cell_id]


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_interference_is_that_of_the_other_cells_power(engine):
    """Between two loaded cells the SINR is their ratio of powers: the one served by more gains."""
    rates = []
    for power_dbm in (40.0, 30.0):
        env, net = network(
            [(290.0, 0.0), (500.0, 0.0)],
            sites(40.0, power_dbm),
            engine=engine,
            link_failure=replace(plain_radio().link_failure, out_of_sync_db=-20.0),
        )
        transfers = [net.send(0, "downlink", 100_000), net.send(1, "downlink", 5_000_000)]
        row = run_all(env, transfers)[0]
        rates.append(row.size_bytes * 8 / (row.finished_at_s - row.started_at_s))
    # near 0 dB and near 10 dB with 5 MHz and more, noise far below
    assert rates[1] > 2.0 * rates[0]


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_equal_own_powers_are_one_power_for_all(engine):
    """Rows of both directions, handover and energy included, are those of ``site_power_dbm``."""
    places = [(80.0, 30.0), (290.0, 10.0), (310.0, -40.0), (520.0, 60.0)]
    rows, joules = [], []
    for layout, radio in ((sites(43.0, 43.0), {}), (sites(None, None), {"site_power_dbm": 43.0})):
        env, net = network(places, layout, engine=engine, handover=A3Handover(), **radio)
        transfers = [
            net.send(client, direction, 200_000)
            for client in range(4)
            for direction in ("uplink", "downlink")
        ]
        rows.append([row.finished_at_s for row in run_all(env, transfers)])
        joules.append([each.energy_j for each in net.energy.totals(env.now)])
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-9)
    np.testing.assert_allclose(joules[0], joules[1], rtol=1e-9)


def test_a_site_radiates_the_power_of_its_own_cell():
    """A macro site draws 4.7 W for each watt radiated: 10 W of 40 dBm, 20 W of 43.0103 dBm."""
    drawn = []
    for power_dbm in (40.0, 40.0 + 10 * log10(2)):
        env, net = network([(100.0, 0.0)], sites(power_dbm, None), engine="flow")
        (row,) = run_all(env, [net.send(0, "downlink", 1_000_000)])
        lasted_s = row.finished_at_s - row.started_at_s
        sent = sum(
            each.energy_j
            for each in net.energy.totals(env.now)
            if each.owner == "site" and each.activity == "tx"
        )
        drawn.append(sent / lasted_s)
    assert drawn == pytest.approx([47.0, 94.0], rel=1e-6)
