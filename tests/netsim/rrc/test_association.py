"""Who is served by which cell when sites fail and come back."""

from dataclasses import replace

import numpy as np
import pytest

from netsim.config.radio import (
    A3Handover,
    LinkFailureConfig,
    NoFading,
    NoHandover,
    RayleighFading,
)
from netsim.rrc.association import Association, edge_gain, strongest_cell
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

AIR = two_sites()[1].air
UNLOADED = np.zeros((2, AIR.num_groups))
"""Nobody transmits."""


def associate(gains, *, air=AIR, outages=(), handover=None, is_fading=False, **failure):
    """Clients 0, 1, ... with gains to the cells of as many sites, connected at 0 s."""
    gain = np.array(gains, dtype=float)
    air = replace(air, cell_power_ratio=np.ones(gain.shape[1]))
    links = Links(num_cells=gain.shape[1], num_groups=air.num_groups, num_instants=1)
    slots = np.array([links.acquire(client)[0] for client in range(len(gain))])
    links.set_gain(slots, gain)
    association = Association(
        links,
        handover=NoHandover() if handover is None else handover,
        link_failure=LinkFailureConfig(**failure),
        outages=Outages(outages, np.arange(gain.shape[1])),
        air=air,
        is_fading=is_fading,
    )
    association.connect(slots)
    return links, slots, association


class TestStrongestCell:
    def test_it_is_the_first_of_equals_among_those_alive(self):
        gain = np.array([[1.0, 3.0, 3.0], [5.0, 1.0, 2.0], [1.0, 9.0, 1.0]])
        cell_id = strongest_cell(gain, is_alive=np.array([True, False, True]), min_gain=0.5)
        assert cell_id.tolist() == [2, 0, 0]
        assert strongest_cell(gain, is_alive=np.ones(3, bool), min_gain=0.5).tolist() == [1, 0, 1]

    def test_the_edge_of_coverage_is_covered(self):
        gain = np.array([[0.5], [np.nextafter(0.5, 0.0)], [0.6]])
        assert strongest_cell(gain, is_alive=np.array([True]), min_gain=0.5).tolist() == [0, -1, 0]
        assert strongest_cell(gain, is_alive=np.array([False]), min_gain=0.5).tolist() == [-1] * 3

    def test_at_the_edge_the_snr_is_that_of_out_of_sync(self):
        gain = edge_gain(LinkFailureConfig(out_of_sync_db=-8.0), AIR)
        snr = AIR.site_block_w * gain / AIR.ue_noise_w
        assert 10 * np.log10(snr) == pytest.approx(-8.0)


class TestWhoIsWatched:
    """Only links that interference of all others, or a fade, can put out of sync."""

    @staticmethod
    def is_watched(sinr_db, **settings):
        """Whether a link of this SINR with the other cell at full power loses it then."""
        cross = 3 * AIR.ue_noise_w / AIR.site_block_w
        signal_w = 10 ** (sinr_db / 10) * (AIR.ue_noise_w + AIR.site_block_w * cross)
        gain = [[signal_w / AIR.site_block_w, cross]]
        failure = {"out_of_sync_db": 3.0, "in_sync_db": 5.0, "timer_s": 1.0}
        _, _, association = associate(gain, **failure, **settings)
        association.watch(at_s=0.5, radiated=np.ones_like(UNLOADED))
        return association.next_change_s(0.5) == 1.5

    def test_at_full_interference_it_is_lost_below_the_threshold_only(self):
        assert AIR.is_interfering
        assert [self.is_watched(sinr_db) for sinr_db in (2.99, 3.01)] == [True, False]

    def test_a_fade_of_20_db_is_allowed_for(self):
        """The fade itself is 0 dB here, so a link above the threshold is watched and not lost."""
        cross = 3 * AIR.ue_noise_w / AIR.site_block_w
        disturbed_w = AIR.ue_noise_w + AIR.site_block_w * cross
        for sinr_db, can_fail in ((22.9, True), (23.1, False)):
            gain = [[10 ** (sinr_db / 10) * disturbed_w / AIR.site_block_w, cross]]
            failure = {"out_of_sync_db": 3.0, "in_sync_db": 5.0, "timer_s": 1.0}
            links, slots, association = associate(gain, is_fading=True, **failure)
            links.downlink_fading[slots] = 0.009  # 20.5 dB down
            association.watch(at_s=0.5, radiated=np.ones_like(UNLOADED))
            assert (association.next_change_s(0.5) == 1.5) == can_fail

    def test_without_transmitters_noise_alone_counts(self):
        cross = 3 * AIR.ue_noise_w / AIR.site_block_w
        gain = [[10**0.4 * AIR.ue_noise_w / AIR.site_block_w, cross]]  # 4 dB above noise
        failure = {"out_of_sync_db": 3.0, "in_sync_db": 5.0, "timer_s": 1.0}
        _, _, association = associate(np.flip(gain, axis=1), **failure)
        association.watch(at_s=0.5, radiated=UNLOADED)
        assert association.next_change_s(0.5) == np.inf

    def test_who_has_left_runs_no_timer(self):
        noise = AIR.ue_noise_w / AIR.site_block_w
        gain = [[4 * noise, 3 * noise]] * 2  # 0 dB at full interference
        failure = {"out_of_sync_db": 3.0, "in_sync_db": 5.0, "timer_s": 1.0}
        links, slots, association = associate(gain, **failure)
        association.watch(at_s=0.5, radiated=np.ones_like(UNLOADED))
        assert association.next_change_s(0.5) == 1.5
        links.release(int(slots[0]))
        assert association.next_change_s(0.5) == 1.5
        links.release(int(slots[1]))
        assert association.next_change_s(0.5) == np.inf
        assert association.fail_due(at_s=1.5).tolist() == []
        assert links.handovers[slots].tolist() == [0, 0]


class TestNobodyHasChanged:
    @pytest.mark.parametrize("handover", [NoHandover(), A3Handover()])
    def test_where_no_site_failed_or_is_back(self, handover):
        edge = edge_gain(LinkFailureConfig(), AIR)
        _, slots, association = associate([[50 * edge, edge]], handover=handover)
        assert association.refresh_sites(slots, at_s=1.0).tolist() == []
        assert association.reselect(slots, at_s=1.0).tolist() == []
        assert association.reselect(slots[:0], at_s=1.0).tolist() == []
        assert association.fail_due(at_s=1.0).tolist() == []
        assert association.next_edge_s(1.0) == np.inf


class TestWhoHasChanged:
    def test_an_outage_changes_whom_it_leaves_and_its_end_who_was_left_without(self):
        edge = edge_gain(LinkFailureConfig(), AIR)
        gains = [[50 * edge, 2 * edge], [2 * edge, 50 * edge], [50 * edge, 0.0]]
        links, slots, association = associate(gains, outages=(dead(0, 1.0, 2.0),))
        assert links.cell_id[slots].tolist() == [0, 1, 0]
        changed = [association.refresh_sites(slots, at_s=at_s) for at_s in (0.5, 1.0, 1.5, 2.0)]
        expected = [[], [slots[0], slots[2]], [], [slots[2]]]
        assert [each.tolist() for each in changed] == expected
        assert links.cell_id[slots].tolist() == [1, 1, 0]


class TestMeasurementsOfWhoMoves:
    def test_a_lost_link_recovers_at_a_cost_and_the_first_cell_is_free(self):
        edge = edge_gain(LinkFailureConfig(), AIR)
        links, slots, association = associate(
            [[2 * edge, 0.0], [0.5 * edge, 0.0]], timer_s=1.0, recovery_s=0.25
        )
        assert links.cell_id[slots].tolist() == [0, -1]
        links.set_gain(slots, np.array([[0.5 * edge, 0.0], [2 * edge, 0.0]]))
        changed = association.step(slots, at_s=2.0, radiated=UNLOADED)
        assert changed.tolist() == [slots[1]]
        assert links.cell_id[slots].tolist() == [0, 0]
        assert links.resume_at_s[slots].tolist() == [0.0, 0.0]
        assert links.handovers[slots].tolist() == [0, 0]
        # The first has been out of sync since then; nothing is in reach when its timer ends.
        assert association.next_change_s(2.0) == 3.0
        assert association.step(slots, at_s=3.0, radiated=UNLOADED).tolist() == [slots[0]]
        assert links.cell_id[slots].tolist() == [-1, 0]
        links.set_gain(slots[:1], np.array([[0.0, 2 * edge]]))
        assert association.step(slots, at_s=4.0, radiated=UNLOADED).tolist() == [slots[0]]
        assert links.cell_id[slots].tolist() == [1, 0]
        assert links.resume_at_s[slots].tolist() == [4.25, 0.0]
        assert links.handovers[slots].tolist() == [1, 0]

    def test_a_handover_interrupts_and_counts(self):
        edge = edge_gain(LinkFailureConfig(), AIR)
        config = A3Handover(time_to_trigger_s=0.5, interruption_s=0.125, filter_coefficient=0)
        links, slots, association = associate(
            [[50 * edge, edge], [50 * edge, edge]], handover=config
        )
        links.set_gain(slots[:1], np.array([[50 * edge, 500 * edge]]))
        for at_s in (1.0, 1.25):
            assert association.step(slots, at_s=at_s, radiated=UNLOADED).tolist() == []
        assert association.step(slots, at_s=1.5, radiated=UNLOADED).tolist() == [slots[0]]
        assert links.cell_id[slots].tolist() == [1, 0]
        assert links.resume_at_s[slots].tolist() == [1.625, 0.0]
        assert links.handovers[slots].tolist() == [1, 0]

    def test_nobody_measures_in_an_interruption(self):
        edge = edge_gain(LinkFailureConfig(), AIR)
        config = A3Handover(time_to_trigger_s=0.0, filter_coefficient=0)
        links, slots, association = associate([[50 * edge, edge]], handover=config)
        links.set_gain(slots, np.array([[50 * edge, 500 * edge]]))
        links.resume_at_s[slots] = 2.0
        assert association.step(slots, at_s=1.9, radiated=UNLOADED).tolist() == []
        assert association.step(slots, at_s=2.0, radiated=UNLOADED).tolist() == slots.tolist()

    def test_in_one_cell_nothing_can_change_for_who_is_near(self):
        edge = edge_gain(LinkFailureConfig(), AIR)
        one = [[4 * edge], [8 * edge]]
        links, slots, association = associate(one)
        assert association.is_settled(slots)
        weak, weak_slots, at_edge = associate([[4 * edge], [8 * edge]], is_fading=True)
        assert not at_edge.is_settled(weak_slots)  # 6 dB and 9 dB are less than a fade of 20 dB
        weak.set_gain(weak_slots, np.full((2, 1), 200 * edge))
        at_edge.step(weak_slots, at_s=1.0, radiated=UNLOADED[:1])
        assert at_edge.is_settled(weak_slots)
        links.set_gain(slots, np.array([[0.5 * edge], [8 * edge]]))
        association.step(slots, at_s=1.0, radiated=UNLOADED[:1])
        assert not association.is_settled(slots)  # a timer runs
        two = associate([[4 * edge, 0.0]])
        assert not two[2].is_settled(two[1])
        outside = associate([[0.5 * edge]])
        assert not outside[2].is_settled(outside[1])


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

    def test_another_failure_does_not_put_off_a_handover_that_is_due(self):
        edge = edge_gain(LinkFailureConfig(), AIR)
        links, slots, association = associate(
            [[50 * edge, 2 * edge, 0.0]],
            handover=A3Handover(time_to_trigger_s=0.25, filter_coefficient=0),
            outages=(dead(0, 1.0, 2.0), dead(2, 2.125, 4.0)),
        )
        at_s, path = 0.0, []
        while np.isfinite(at_s := association.next_edge_s(at_s)):
            association.refresh_sites(slots, at_s=at_s)
            association.reselect(slots, at_s=at_s)
            path.append((at_s, int(links.cell_id[slots[0]])))
            assert len(path) < 20
        # The look of the second failure finds that the handover has happened.
        assert path == [(1.0, 1), (2.0, 1), (2.125, 1), (2.25, 0), (2.375, 0), (4.0, 0)]

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
