"""Who is served by which cell when sites fail and come back."""

import numpy as np
import pytest

from netsim.config.radio import (
    A3Handover,
    LinkFailureConfig,
    NoFading,
    NoHandover,
    RayleighFading,
)
from netsim.rrc.association import Association
from netsim.rrc.links import Links
from netsim.rrc.outages import Outages
from tests.netsim.worlds import (
    NEAR_0,
    dead,
    make_network,
    plain_radio,
    run_all,
    still_world,
    two_sites,
)


class TestReturnAfterAnOutage:
    @pytest.mark.parametrize("engine", ["flow", "slot"])
    @pytest.mark.parametrize("fading", [NoFading(), RayleighFading()])
    def test_a_client_that_stands_still_returns_after_the_time_to_trigger(self, engine, fading):
        env, network = two_sites(outages=(dead(0, 0.2, 0.5),), engine=engine, fading=fading)
        transfer = network.send(0, "uplink", 10**9, timeout_s=1.5)
        cells = []
        for at_s in (0.1, 0.3, 0.755, 0.76, 1.4):
            env.run(until=at_s)
            cells.append(network.link_table([0]).cell_id[0])
        assert cells == [0, 1, 1, 0, 0]
        (row,) = run_all(env, [transfer])
        assert row.handovers == 2
        assert row.cell_id == 0
        assert row.status == "timeout"

    def test_the_bytes_of_an_outage_are_those_of_two_cells_and_two_pauses(self):
        env, network = two_sites(outages=(dead(0, 1.0, 3.0),))
        far = two_sites(outages=(dead(0, 0.0, 99.0),))[1]
        near_bps = network.link_table([0]).uplink_rate_bps[0]
        far_bps = far.link_table([0]).uplink_rate_bps[0]
        (row,) = run_all(env, [network.send(0, "uplink", 10**9, timeout_s=5.0)])
        back_s = 3.0 + 0.256
        near_s = 1.0 + 5.0 - (back_s + 0.05)
        far_s = back_s - (1.0 + 0.2)
        expected = (near_s * near_bps + far_s * far_bps) / 8
        assert far_bps < near_bps
        assert row.delivered_bytes == pytest.approx(expected, abs=1.0)

    def test_a_cell_that_dies_again_too_soon_is_not_joined(self):
        outages = (dead(0, 0.1, 0.3), dead(0, 0.5, 0.9))
        env, network = two_sites(outages=outages)
        transfer = network.send(0, "uplink", 10**9, timeout_s=2.0)
        cells = []
        for at_s in (0.2, 0.557, 0.61, 1.155, 1.16):
            env.run(until=at_s)
            cells.append(network.link_table([0]).cell_id[0])
        assert cells == [1, 1, 1, 1, 0]
        (row,) = run_all(env, [transfer])
        assert row.handovers == 2

    def test_who_is_still_joining_when_the_site_is_back_returns_after_that(self):
        env, network = two_sites(outages=(dead(0, 1.0, 1.05),))
        (row,) = run_all(env, [network.send(0, "uplink", 10**9, timeout_s=3.0)])
        assert (row.cell_id, row.handovers) == (0, 2)

    @pytest.mark.parametrize("time_to_trigger_s", [0.0, 0.256])
    @pytest.mark.parametrize("offset_db", [-15.0, 0.0, 15.0])
    def test_one_handover_brings_it_back_if_the_margin_allows(self, time_to_trigger_s, offset_db):
        """A gain 17 dB above the other: beaten by any margin below, and only once."""
        air = two_sites()[1].air
        links = Links(num_cells=2, num_groups=air.num_groups, num_instants=1)
        slots = np.array([links.acquire(0)[0]])
        links.set_gain(slots, np.array([[5e-9, 1e-10]]))
        association = Association(
            links,
            handover=A3Handover(offset_db=offset_db, time_to_trigger_s=time_to_trigger_s),
            link_failure=LinkFailureConfig(),
            outages=Outages((dead(0, 1.0, 2.0),), np.array([0, 1])),
            air=air,
            is_fading=False,
        )
        association.connect(slots)
        at_s, path = 0.0, []
        while np.isfinite(at_s := association.next_edge_s(at_s)):
            association.refresh_sites(slots, at_s=at_s)
            association.reselect(slots, at_s=at_s)
            path.append((at_s, int(links.cell_id[slots[0]])))
            assert len(path) < 20
        back = [(2.0, 1), (2.0 + time_to_trigger_s, 0)] if time_to_trigger_s else [(2.0, 0)]
        assert path == [(1.0, 1), *(back if offset_db < 14 else [(2.0, 1)])]

    def test_a_cell_that_is_hardly_better_is_left_alone(self):
        env, network = two_sites([(290.0, 0.0)], outages=(dead(0, 1.0, 2.0),))
        (row,) = run_all(env, [network.send(0, "uplink", 10**9, timeout_s=4.0)])
        assert (row.cell_id, row.handovers) == (1, 1)

    def test_without_handover_it_stays(self):
        env, network = two_sites(outages=(dead(0, 1.0, 2.0),), handover=NoHandover())
        (row,) = run_all(env, [network.send(0, "uplink", 10**9, timeout_s=4.0)])
        assert (row.cell_id, row.handovers) == (1, 1)

    def test_no_timer_outlives_the_traffic(self):
        env, network = two_sites(outages=(dead(0, 1.0, 2.0),))
        run_all(env, [network.send(0, "uplink", 10**9, timeout_s=2.1)])
        env.run()
        assert env.now < 3.0


class TestFirstConnectionInAnOutage:
    def test_another_cell_serves_at_once(self):
        env, network = two_sites(outages=(dead(0, 0.0, 2.0),))
        (row,) = run_all(env, [network.send(0, "uplink", 10_000)])
        assert (row.cell_id, row.handovers, row.started_at_s) == (1, 0, 0.0)

    @pytest.mark.parametrize("asked_at_s", [0.0, 1.5])
    def test_the_only_cell_serves_as_soon_as_it_is_back(self, asked_at_s):
        radio = plain_radio(outages=(dead(0, 0.0, 2.0),))
        env, network = make_network(still_world([NEAR_0]), radio)
        if asked_at_s:
            env.run(until=asked_at_s)
        (row,) = run_all(env, [network.send(0, "uplink", 10_000)])
        assert (row.cell_id, row.handovers, row.started_at_s) == (0, 0, 2.0)

    def test_a_cell_that_was_lost_costs_the_recovery(self):
        radio = plain_radio(outages=(dead(0, 0.0, 2.0), dead(0, 2.01, 3.0)))
        env, network = make_network(still_world([NEAR_0]), radio)
        (row,) = run_all(env, [network.send(0, "uplink", 10**9, timeout_s=4.0)])
        assert (row.cell_id, row.handovers) == (0, 1)
