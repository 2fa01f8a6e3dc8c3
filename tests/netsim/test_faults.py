"""Dead sites, and transfers that end otherwise than by their last byte."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.association import Association, Outages
from netsim.config.radio import (
    A3Handover,
    BackgroundLoadConfig,
    BackhaulLink,
    EnergyConfig,
    GraphBackhaul,
    LinkCut,
    LinkFailureConfig,
    NoFading,
    NoHandover,
    RayleighFading,
    SiteOutage,
    StarBackhaul,
)
from netsim.config.world import SitesLayout
from netsim.links import Links
from netsim.site_energy import site_power
from tests.netsim.test_ledger import make_ledger
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world

TWO_SITES = SitesLayout(
    positions_m=((0.0, 0.0), (600.0, 0.0)), width_m=3000.0, height_m=3000.0, num_sectors=1
)
NEAR_0, NEAR_1 = (100.0, 0.0), (500.0, 0.0)


def two_sites(places=(NEAR_0,), *, engine="flow", outages=(), **changes):
    """A static world of two cells; client 0 belongs to site 0."""
    settings_ = {"handover": A3Handover(), "bandwidth_hz": 5e6, "engine": engine}
    radio = plain_radio(outages=tuple(outages), **(settings_ | changes))
    return make_network(still_world(places, layout=TWO_SITES, line_of_sight="never"), radio)


def dead(site_id, started_at_s, finished_at_s):
    """An outage in one line."""
    return SiteOutage(site_id=site_id, started_at_s=started_at_s, finished_at_s=finished_at_s)


def site_joules(network, until_s):
    """Joules by site and activity; the parts must make the sum."""
    totals = [total for total in network.energy.totals(until_s) if total.owner == "site"]
    summed_j = network.energy.site_energy_j(until_s)
    assert summed_j == pytest.approx(sum(total.energy_j for total in totals), rel=1e-12)
    return {(total.owner_id, total.activity): total.energy_j for total in totals}


class TestJoulesOfADeadSite:
    @staticmethod
    def watts(network, load):
        """Base load and power for radiating of one macro cell."""
        air, model = network.air, site_power("macro", num_cells=1)
        radiated_w = load * air.site_block_w * air.num_blocks * air.downlink_fraction
        return model.awake_w, model.radiation_w(radiated_w)

    def test_ten_seconds_without_power_save_ten_seconds_of_power(self):
        background = BackgroundLoadConfig(downlink_fraction=0.5)
        joules = {}
        for name, outages in (("clear", ()), ("cut", (dead(0, 10.0, 20.0),))):
            env, network = two_sites(outages=outages, background_load=background)
            env.run(until=30.0)
            joules[name] = site_joules(network, 30.0)
        base_w, tx_w = self.watts(network, 0.5)
        assert joules["clear"][0, "base"] - joules["cut"][0, "base"] == pytest.approx(10 * base_w)
        assert joules["clear"][0, "tx"] - joules["cut"][0, "tx"] == pytest.approx(10 * tx_w)
        for activity in ("base", "tx"):
            assert joules["cut"][1, activity] == joules["clear"][1, activity]

    @settings(max_examples=25, deadline=None)
    @given(
        edges=st.lists(st.tuples(st.floats(0, 35), st.floats(0.01, 12)), min_size=1, max_size=4),
        looks=st.lists(st.floats(0.0, 30.0), max_size=4),
        load=st.sampled_from([0.0, 0.5]),
        traffic=st.sampled_from(["none", "uplink", "downlink"]),
        engine=st.sampled_from(["flow", "flow", "slot"]),
    )
    def test_joules_without_power_are_missing_in_closed_form(
        self, edges, looks, load, traffic, engine
    ):
        """Any outages of site 1, read at any time, with or without traffic at site 0."""
        until_s = 30.0 if engine == "flow" or traffic == "none" else 1.0
        scale = until_s / 30.0
        outages = tuple(dead(1, scale * start, scale * (start + length)) for start, length in edges)
        background = BackgroundLoadConfig(downlink_fraction=load)
        joules = []
        for cuts in ((), outages):
            env, network = two_sites(
                outages=cuts, background_load=background, engine=engine, interference=False
            )
            if traffic != "none":
                network.send(0, traffic, 10**9, timeout_s=0.8 * until_s)
            for at_s in sorted({scale * look for look in looks if 0 < scale * look < until_s}):
                env.run(until=at_s)
                network.energy.site_energy_j(at_s)
            env.run(until=until_s)
            joules.append(site_joules(network, until_s))
        instants = np.unique(
            np.clip(
                [0, until_s, *(t for o in outages for t in (o.started_at_s, o.finished_at_s))],
                0,
                until_s,
            )
        )
        dead_s = sum(
            float(upper - lower)
            for lower, upper in pairwise(instants)
            if any(o.started_at_s <= (lower + upper) / 2 < o.finished_at_s for o in outages)
        )
        base_w, tx_w = self.watts(network, load)
        clear, cut = joules
        assert cut[1, "base"] == pytest.approx(clear[1, "base"] - base_w * dead_s, abs=1e-6)
        assert cut.get((1, "tx"), 0.0) == pytest.approx(tx_w * (until_s - dead_s), abs=1e-6)
        for activity in ("base", "tx"):
            if (0, activity) in clear:
                assert cut[0, activity] == pytest.approx(clear[0, activity], rel=1e-9)
        entries = network.energy.ledger.site_entries()
        for o in outages:
            is_over = (entries.owner_id == 1) & (entries.started_at_s < o.finished_at_s)
            is_over &= entries.finished_at_s > o.started_at_s
            assert not is_over.any()

    def test_traffic_at_the_dead_site_stops_its_entries_at_the_edge(self):
        background = BackgroundLoadConfig(downlink_fraction=0.25)
        env, network = two_sites(outages=(dead(0, 1.0, 2.0),), background_load=background)
        transfer = network.send(0, "downlink", 10**9, timeout_s=4.0)
        env.run(until=5.0)
        assert transfer.event.value.handovers >= 1
        entries = network.energy.ledger.site_entries()
        of_dead = entries.of(entries.owner_id == 0)
        assert not ((of_dead.started_at_s < 2.0) & (of_dead.finished_at_s > 1.0)).any()
        first_s = of_dead.seconds[of_dead.finished_at_s <= 1.0]
        assert first_s.sum() == pytest.approx(1.0)
        _, full_w = self.watts(network, 1.0)
        first_j = of_dead.energy_j[of_dead.finished_at_s <= 1.0]
        assert first_j.sum() == pytest.approx(full_w)

    def test_a_site_that_sleeps_comes_back_awake(self):
        env, network = two_sites(
            outages=(dead(0, 10.0, 20.0),), energy=EnergyConfig(site_sleep_after_s=2.0)
        )
        env.run(until=30.0)
        model = site_power("macro", num_cells=1)
        joules = site_joules(network, 30.0)
        assert joules[0, "base"] == pytest.approx(2 * (2 * model.awake_w + 8 * model.asleep_w))
        assert joules[1, "base"] == pytest.approx(2 * model.awake_w + 28 * model.asleep_w)

    def test_a_dead_site_does_not_disturb_while_nobody_sends(self):
        background = BackgroundLoadConfig(downlink_fraction=1.0)
        env, network = two_sites(
            [(290.0, 0.0)], outages=(dead(1, 10.0, 20.0),), background_load=background
        )
        rates = []
        for at_s in (5.0, 15.0, 25.0):
            env.run(until=at_s)
            rates.append(network.link_states([0])[0].downlink_rate_bps)
        assert rates[1] > rates[0] == rates[2]

    def test_the_last_download_silences_its_site(self):
        for engine in ("flow", "slot"):
            env, network = two_sites(engine=engine)
            (row,) = run_all(env, [network.send(0, "downlink", 100_000)])
            env.run(until=row.finished_at_s + 0.01)
            before_j = site_joules(network, env.now)[0, "tx"]
            env.run(until=env.now + 10.0)
            assert site_joules(network, env.now)[0, "tx"] == pytest.approx(before_j)

    def test_cuts_out_of_range_are_named(self):
        ledger = make_ledger(num_sites=2)
        with pytest.raises(ValueError, match="site_id: must be 0 to 1, got 2"):
            ledger.cut_power(2, started_at_s=0.0, finished_at_s=1.0)
        with pytest.raises(ValueError, match="0 <= start <= end"):
            ledger.cut_power(0, started_at_s=2.0, finished_at_s=1.0)

    def test_a_cut_for_good_and_overlapping_cuts(self):
        ledger = make_ledger(num_sites=2)
        base_w = ledger.site_energy_j(1.0) / 2
        ledger.cut_power(0, started_at_s=3.0, finished_at_s=math.inf)
        ledger.cut_power(1, started_at_s=1.0, finished_at_s=4.0)
        ledger.cut_power(1, started_at_s=2.0, finished_at_s=6.0)
        assert ledger.site_energy_j(10.0) == pytest.approx((3 + 5) * base_w)
        seconds = {total.owner_id: total.seconds for total in ledger.totals(10.0)}
        assert seconds == pytest.approx({0: 3.0, 1: 5.0})


class TestReturnAfterAnOutage:
    @pytest.mark.parametrize("engine", ["flow", "slot"])
    @pytest.mark.parametrize("fading", [NoFading(), RayleighFading()])
    def test_a_client_that_stands_still_returns_after_the_time_to_trigger(self, engine, fading):
        env, network = two_sites(outages=(dead(0, 0.2, 0.5),), engine=engine, fading=fading)
        transfer = network.send(0, "uplink", 10**9, timeout_s=1.5)
        cells = []
        for at_s in (0.1, 0.3, 0.755, 0.76, 1.4):
            env.run(until=at_s)
            cells.append(network.link_states([0])[0].cell_id)
        assert cells == [0, 1, 1, 0, 0]
        (row,) = run_all(env, [transfer])
        assert row.handovers == 2
        assert row.cell_id == 0
        assert row.status == "timeout"

    def test_the_bytes_of_an_outage_are_those_of_two_cells_and_two_pauses(self):
        env, network = two_sites(outages=(dead(0, 1.0, 3.0),))
        far = two_sites(outages=(dead(0, 0.0, 99.0),))[1]
        near_bps = network.link_states([0])[0].uplink_rate_bps
        far_bps = far.link_states([0])[0].uplink_rate_bps
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
            cells.append(network.link_states([0])[0].cell_id)
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
        links = Links(num_cells=2, num_groups=air.num_groups)
        slots = np.array([links.acquire(0)[0]])
        links.gain[slots] = [5e-9, 1e-10]
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


def with_wires(latency_s, *, engine="flow", **changes):
    """One client near one site."""
    radio = plain_radio(backhaul=StarBackhaul(latency_s=latency_s), engine=engine, **changes)
    return make_network(still_world([NEAR_0]), radio)


ENGINES = pytest.mark.parametrize("engine", ["flow", "slot"])


class TestEndsOfUploads:
    @ENGINES
    @pytest.mark.parametrize("direction", ["uplink", "downlink"])
    @pytest.mark.parametrize("reason", ["cancelled", "timeout", "not needed"])
    def test_a_cancelled_transfer_ends_at_once(self, engine, direction, reason):
        env, network = with_wires(0.05, engine=engine)
        transfer = network.send(0, direction, 10**8)
        env.run(until=0.25)
        transfer.cancel(reason)
        assert transfer.event.triggered
        row = transfer.event.value
        assert (row.status, row.finished_at_s) == (reason, 0.25)
        assert 0 < row.delivered_bytes < row.size_bytes

    @ENGINES
    def test_a_timeout_comes_at_the_deadline_with_what_has_arrived(self, engine):
        env, network = with_wires(0.05, engine=engine)
        rate_bps = network.link_states([0])[0].uplink_rate_bps
        (row,) = run_all(env, [network.send(0, "uplink", 10**8, timeout_s=0.3)])
        assert (row.status, row.finished_at_s) == ("timeout", 0.3)
        assert env.now == pytest.approx(0.3, abs=1e-12)
        assert row.delivered_bytes == pytest.approx(0.25 * rate_bps / 8, rel=0.03)

    def test_a_deadline_shorter_than_the_wires(self):
        env, network = with_wires(0.05)
        (row,) = run_all(env, [network.send(0, "uplink", 1, timeout_s=0.02)])
        assert (row.status, row.finished_at_s, row.delivered_bytes) == ("timeout", 0.02, 0)

    @pytest.mark.parametrize("margin_s", [-1e-6, 1e-6])
    def test_the_last_byte_counts_if_it_arrives_by_the_deadline(self, margin_s):
        env, network = with_wires(0.05)
        rate_bps = network.link_states([0])[0].uplink_rate_bps
        need_s = 8e6 / rate_bps + 0.05
        (row,) = run_all(env, [network.send(0, "uplink", 10**6, timeout_s=need_s + margin_s)])
        if margin_s > 0:
            assert row.status == "delivered"
            assert row.finished_at_s == pytest.approx(need_s, rel=1e-12)
        else:
            assert row.status == "timeout"
            assert row.finished_at_s == need_s + margin_s
            assert row.delivered_bytes == int((8e6 + margin_s * rate_bps) / 8)

    def test_wires_that_become_longer_make_the_last_bytes_late(self):
        """No wire is shorter than another at the start, so only the end can know."""
        links = (
            BackhaulLink(ends=("site-0", "server"), latency_s=0.001),
            BackhaulLink(ends=("site-0", "hub"), latency_s=0.1),
            BackhaulLink(ends=("hub", "server"), latency_s=0.1),
        )
        cut = LinkCut(ends=("site-0", "server"), started_at_s=0.1, finished_at_s=9.0)
        radio = plain_radio(backhaul=GraphBackhaul(links=links, cuts=(cut,)))
        env, network = make_network(still_world([NEAR_0]), radio)
        rate_bps = network.link_states([0])[0].uplink_rate_bps
        size_bytes = int(0.3 * rate_bps / 8)
        (row,) = run_all(env, [network.send(0, "uplink", size_bytes, timeout_s=0.4)])
        assert (row.status, row.finished_at_s) == ("timeout", 0.4)
        assert env.now == pytest.approx(0.4, abs=1e-12)
        assert row.delivered_bytes == pytest.approx(0.2 * rate_bps / 8, abs=2)

    @settings(max_examples=30, deadline=None)
    @given(
        latency_s=st.floats(0.0, 0.2),
        timeout_s=st.floats(0.01, 0.6),
        size_bytes=st.integers(1, 4_000_000),
        is_dead=st.booleans(),
        engine=st.sampled_from(["flow", "flow", "slot"]),
    )
    def test_no_upload_ends_after_its_deadline(
        self, latency_s, timeout_s, size_bytes, is_dead, engine
    ):
        outages = (dead(0, 0.0, 0.1),) if is_dead else ()
        env, network = with_wires(latency_s, engine=engine, outages=outages)
        (row,) = run_all(env, [network.send(0, "uplink", size_bytes, timeout_s=timeout_s)])
        # The slot engine sees a deadline at the end of its slot.
        grain_s = 0.0 if engine == "flow" else 0.5e-3
        assert row.finished_at_s <= timeout_s + grain_s
        assert env.now == pytest.approx(row.finished_at_s, abs=1e-12)
        assert (row.status == "delivered") == (row.delivered_bytes == size_bytes)
        if row.status == "delivered":
            assert row.finished_at_s <= timeout_s
        else:
            assert row.finished_at_s >= timeout_s


class TestCancelling:
    @pytest.mark.parametrize("has_ended", [False, True])
    def test_nobody_claims_to_have_delivered(self, has_ended):
        env, network = with_wires(0.0)
        transfer = network.send(0, "uplink", 10**6)
        env.run(until=transfer.event if has_ended else 0.1)
        with pytest.raises(ValueError, match="reason: must not be delivered"):
            transfer.cancel("delivered")
        (row,) = run_all(env, [transfer]) if not has_ended else [transfer.event.value]
        assert (row.status, row.delivered_bytes) == ("delivered", 10**6)

    @ENGINES
    @pytest.mark.parametrize("latency_s", [0.0, 0.03])
    def test_what_is_complete_is_delivered_before_it_can_be_cancelled(self, engine, latency_s):
        env, network = with_wires(latency_s, engine=engine)
        (first,) = run_all(env, [network.send(0, "uplink", 10**6)])
        ends_s = first.finished_at_s - latency_s
        env, network = with_wires(latency_s, engine=engine)

        def impatient():
            # Asked for before the network's own timer, so it acts before it.
            yield env.timeout(ends_s)
            transfer.cancel()

        env.process(impatient())
        transfer = network.send(0, "uplink", 10**6)
        (row,) = run_all(env, [transfer])
        assert row.status == "delivered"
        assert row.delivered_bytes == 10**6
        assert row.finished_at_s == pytest.approx(first.finished_at_s, rel=1e-12)

    def test_cancelling_one_ends_others_that_are_complete(self):
        env, network = make_network(still_world([NEAR_0, (0.0, 100.0)]), plain_radio())
        (alone, _) = run_all(env, [network.send(k, "uplink", 10**6) for k in range(2)])
        env, network = make_network(still_world([NEAR_0, (0.0, 100.0)]), plain_radio())

        def impatient():
            yield env.timeout(alone.finished_at_s)
            transfers[1].cancel()

        env.process(impatient())
        transfers = [network.send(k, "uplink", 10**6) for k in range(2)]
        rows = run_all(env, transfers)
        assert [row.status for row in rows] == ["delivered", "delivered"]
        assert [row.finished_at_s for row in rows] == [alone.finished_at_s] * 2
