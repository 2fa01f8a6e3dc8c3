"""Joules of sites: power for radiating, and none in a power cut."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.config.radio import (
    BackgroundShare,
    EnergyConfig,
    FddDuplex,
    SiteOutageRate,
    TddDuplex,
)
from netsim.energy.ledger import SITE_ACTIVITIES
from netsim.energy.site_energy import site_power
from netsim.engines.site_meter import SiteMeter
from netsim.rrc.drawn_outages import DrawnOutages
from netsim.rrc.outages import Outages
from netsim.units import dbm_to_w
from tests.netsim.energy.test_ledger import make_ledger
from tests.netsim.worlds import (
    dead,
    run_all,
    two_sites,
)


def site_joules(network, until_s):
    """Joules by site and activity; the parts must make the sum."""
    totals = [total for total in network.energy.totals(until_s) if total.owner == "site"]
    summed_j = network.energy.site_energy_j(until_s)
    assert summed_j == pytest.approx(sum(total.energy_j for total in totals), rel=1e-12)
    return {(total.owner_id, total.activity): total.energy_j for total in totals}


NOBODY = np.zeros(0, dtype=int)


class Metered:
    """Sites 0 and 1 with cells 0, 1 and 2: site 0 has two. A cell radiates at most 8 W."""

    def __init__(self, *outages):
        self.ledger, cell_site_id = make_ledger(num_sites=2), np.array([0, 0, 1])
        self.meter = SiteMeter(
            self.ledger,
            outages=Outages(outages, cell_site_id),
            cell_site_id=cell_site_id,
            full_cell_w=np.full(3, 8.0),
            drawn_per_radiated=np.array([5.0, 3.0]),
        )

    def set_load(self, now_s, load, serving=NOBODY):
        """Mean loads of the three cells, over two groups of blocks."""
        halves = np.array([[1.5], [0.5]]).T
        self.meter.advance(now_s)
        self.meter.set_load(
            np.array(load)[:, None] * halves, serving=np.array(serving), now_s=now_s
        )

    def flush(self, now_s):
        self.meter.advance(now_s)
        self.meter.flush(now_s)

    def entries(self, site_id):
        """Activity, start, end and power of each, in the order of booking."""
        found = self.ledger.site_entries()
        found = found.of(found.owner_id == site_id)
        return [
            (SITE_ACTIVITIES[activity], start, end, power)
            for activity, start, end, power in zip(
                found.activity.tolist(),
                found.started_at_s.tolist(),
                found.finished_at_s.tolist(),
                found.power_w.tolist(),
                strict=True,
            )
        ]


class TestBusyTimeBetweenBookings:
    def test_every_entry_begins_where_the_last_one_ended_while_a_site_is_busy(self):
        seen = Metered()
        seen.set_load(1.0, [0.5, 0.0, 0.0])
        seen.flush(2.0)
        seen.flush(2.5)
        seen.set_load(3.0, [0.0, 0.0, 0.0])
        power_w = 5.0 * 8.0 * 0.5
        expected = [("tx", 1.0, 2.0, power_w), ("tx", 2.0, 2.5, power_w), ("tx", 2.5, 3.0, power_w)]
        assert seen.entries(0) == expected
        assert seen.entries(1) == []

    def test_a_quiet_time_is_in_no_entry(self):
        """Though somebody asks in it: what follows begins with the new traffic."""
        seen = Metered()
        seen.set_load(1.0, [0.0, 0.5, 0.0])
        seen.set_load(2.0, [0.0, 0.0, 0.0])
        seen.flush(3.0)
        seen.set_load(4.0, [0.0, 0.25, 0.0])
        seen.flush(6.0)
        assert seen.entries(0) == [("tx", 1.0, 2.0, 20.0), ("tx", 4.0, 6.0, 10.0)]

    def test_changes_of_load_are_averaged_until_the_booking(self):
        seen = Metered()
        seen.set_load(0.0, [0.5, 0.25, 0.0])
        seen.set_load(1.0, [0.0, 0.25, 1.0])
        seen.flush(4.0)
        assert seen.entries(0) == [("tx", 0.0, 4.0, pytest.approx(5.0 * 8.0 * (0.75 + 0.75) / 4))]
        assert seen.entries(1) == [("tx", 1.0, 4.0, pytest.approx(3.0 * 8.0))]

    def test_a_site_that_only_receives_is_busy_and_radiates_nothing(self):
        seen = Metered()
        seen.set_load(1.0, [0.0, 0.0, 0.0], serving=[1])
        seen.set_load(2.0, [0.0, 0.0, 0.0], serving=[1, 2])
        seen.set_load(3.0, [0.0, 0.0, 0.0], serving=[2])
        seen.flush(5.0)
        assert seen.entries(0) == [("rx", 1.0, 3.0, 0.0)]
        assert seen.entries(1) == [("rx", 2.0, 5.0, 0.0)]

    def test_joules_of_one_entry_are_not_in_the_next(self):
        seen = Metered()
        seen.set_load(0.0, [1.0, 0.0, 0.0], serving=[0])
        seen.set_load(1.0, [0.0, 0.0, 0.0], serving=[0])
        seen.flush(2.0)
        seen.flush(4.0)
        assert seen.entries(0) == [("tx", 0.0, 2.0, 20.0), ("rx", 2.0, 4.0, 0.0)]

    def test_no_entry_is_empty_and_none_is_booked_twice(self):
        seen = Metered()
        seen.set_load(1.0, [0.5, 0.0, 0.0])
        seen.flush(1.0)
        seen.flush(2.0)
        seen.flush(2.0)
        seen.set_load(2.0, [0.0, 0.0, 0.0])
        assert seen.entries(0) == [("tx", 1.0, 2.0, 20.0)]

    def test_an_outage_within_busy_time_is_left_out(self):
        seen = Metered(dead(0, 2.0, 3.0), dead(1, 0.0, 4.0))
        seen.set_load(1.0, [0.5, 0.0, 1.0])
        seen.flush(2.5)
        seen.flush(5.0)
        assert seen.entries(0) == [("tx", 1.0, 2.0, 20.0), ("tx", 3.0, 5.0, 20.0)]
        assert seen.entries(1) == [("tx", 4.0, 5.0, 24.0)]


class TestJoulesOfADeadSite:
    @staticmethod
    def watts(network, load):
        """Base load and power for radiating of one macro cell."""
        air, model = network.air, site_power("macro", num_cells=1)
        radiated_w = load * air.site_block_w * air.num_blocks * air.downlink_fraction
        return model.awake_w, model.radiation_w(radiated_w)

    def test_ten_seconds_without_power_save_ten_seconds_of_power(self):
        background = BackgroundShare(downlink_fraction=0.5)
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
        background = BackgroundShare(downlink_fraction=load)
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

    @pytest.mark.parametrize("planned", [(), (dead(0, 3.0, 8.0), dead(1, 20.0, 29.0))])
    @pytest.mark.parametrize("num_looks", [0, 25])
    def test_outages_at_random_cost_what_planned_ones_do(self, planned, num_looks):
        """Of the same times, read at the end alone or on the way as well."""
        until_s, rate = 30.0, SiteOutageRate(mean_up_s=4.0, mean_down_s=1.5)
        times = DrawnOutages(rate, num_sites=2, seed=1).take_begun(until_s)
        assert len(times) > 5
        looks_s = np.sort(np.random.default_rng(3).uniform(0, until_s, size=num_looks))
        background, joules = BackgroundShare(downlink_fraction=0.5), []
        for settings_ in (
            {"outages": planned, "outage_rate": rate},
            {"outages": (*planned, *(dead(*each) for each in times))},
        ):
            env, network = two_sites(background_load=background, **settings_)
            for at_s in looks_s.tolist():
                env.run(until=at_s)
                network.energy.site_energy_j(at_s)
            env.run(until=until_s)
            joules.append(site_joules(network, until_s))
        assert joules[0] == pytest.approx(joules[1], rel=1e-12)
        assert joules[0][0, "base"] < until_s * self.watts(network, 0.5)[0]

    def test_traffic_at_the_dead_site_stops_its_entries_at_the_edge(self):
        background = BackgroundShare(downlink_fraction=0.25)
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
        background = BackgroundShare(downlink_fraction=0.9)
        env, network = two_sites(
            [(290.0, 0.0)], outages=(dead(1, 10.0, 20.0),), background_load=background
        )
        rates = []
        for at_s in (5.0, 15.0, 25.0):
            env.run(until=at_s)
            rates.append(network.link_table([0]).downlink_rate_bps[0])
        assert rates[1] > rates[0] == rates[2]

    def test_the_last_download_silences_its_site(self):
        for engine in ("flow", "slot"):
            env, network = two_sites(engine=engine)
            (row,) = run_all(env, [network.send(0, "downlink", 100_000)])
            env.run(until=row.finished_at_s + 0.01)
            before_j = site_joules(network, env.now)[0, "tx"]
            env.run(until=env.now + 10.0)
            assert site_joules(network, env.now)[0, "tx"] == pytest.approx(before_j)

    @pytest.mark.parametrize("engine", ["flow", "slot"])
    @pytest.mark.parametrize("uplink_fraction", [None, 0.2, 0.4])
    @pytest.mark.parametrize("load", [0.0, 0.3])
    def test_a_site_radiates_in_its_downlink_slots_and_only_there(
        self, ladder, engine, uplink_fraction, load
    ):
        """Half a second of download, then uploads, then nothing."""
        duplex = (
            FddDuplex() if uplink_fraction is None else TddDuplex(uplink_fraction=uplink_fraction)
        )
        env, network = two_sites(
            engine=engine,
            duplex=duplex,
            interference=False,
            background_load=BackgroundShare(downlink_fraction=load),
        )
        network.send(0, "downlink", 10**9, timeout_s=0.5)
        network.send(0, "uplink", 10**9, timeout_s=1.0)
        sent_w = 4.7 * dbm_to_w(46.0) * (1.0 - (uplink_fraction or 0.0))
        joules = []
        for at_s in (0.5, 1.0, 1.5):
            env.run(until=at_s)
            joules.append(site_joules(network, at_s)[0, "tx"])
        with_load_w = load * sent_w
        expected_j = np.cumsum([0.5 * sent_w, 0.5 * with_load_w, 0.5 * with_load_w])
        ladder.near(
            18,
            "energy for radiating of a site, both engines, FDD and TDD",
            source="4.7 x 39.8 W x share of downlink slots x time, by hand",
            measured=joules,
            expected=expected_j,
            tolerance=1e-6,
            unit="J",
        )

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
