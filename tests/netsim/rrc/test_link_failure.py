"""Radio-link failure: the timer alone, then clients that stand still under interference."""

import math

import numpy as np
import pytest

from netsim.config.radio import (
    A3Handover,
    BackgroundShare,
    LinkFailureConfig,
    RayleighFading,
    SiteOutage,
    TddDuplex,
)
from netsim.rrc.link_failure import EVALUATION_S, FadeMean, LinkMonitor
from tests.netsim.worlds import TWO_SITES, make_network, plain_radio, run_all, still_world

SLOT = np.array([0])


class TestTimer:
    config = LinkFailureConfig(out_of_sync_db=-8.0, in_sync_db=-6.0, timer_s=1.0)

    def failures(self, samples):
        monitor = LinkMonitor(self.config)
        monitor.start(SLOT)
        failed_at_s = []
        for at_s, sinr_db in samples:
            monitor.observe(SLOT, np.array([sinr_db]), at_s=at_s)
            if monitor.expire(SLOT, at_s=at_s)[0]:
                failed_at_s.append(at_s)
        return failed_at_s

    def test_fails_when_the_timer_has_run(self):
        samples = [(0.1 * k, -10.0 if k >= 5 else 0.0) for k in range(40)]
        assert self.failures(samples) == pytest.approx([1.5, 2.6, 3.7])

    def test_between_the_thresholds_the_timer_goes_on(self):
        samples = [(0.1 * k, -10.0 if k == 5 else -7.0) for k in range(16)]
        assert self.failures(samples) == pytest.approx([1.5])

    def test_above_the_upper_threshold_it_stops(self):
        samples = [(0.1 * k, -5.9 if k == 14 else -10.0) for k in range(5, 24)]
        assert self.failures(samples) == []

    def test_never_out_of_sync_never_fails(self):
        assert self.failures([(0.1 * k, -7.9) for k in range(100)]) == []

    def test_at_a_threshold_nothing_changes(self):
        monitor = LinkMonitor(self.config)
        monitor.start(SLOT)
        monitor.observe(SLOT, np.array([-8.0]), at_s=0.0)
        assert monitor.running().tolist() == []
        monitor.observe(SLOT, np.array([-8.1]), at_s=1.0)
        monitor.observe(SLOT, np.array([-6.0]), at_s=1.1)
        assert monitor.running().tolist() == [0]
        monitor.observe(SLOT, np.array([-5.9]), at_s=1.2)
        assert monitor.running().tolist() == []

    def test_the_timer_counts_from_the_first_sample_out_of_sync(self):
        monitor = LinkMonitor(self.config)
        monitor.start(np.arange(3))
        for at_s in (2.0, 2.5):
            monitor.observe(np.array([0, 2]), np.array([-9.0, -7.0]), at_s=at_s)
        assert monitor.expires_at_s(np.arange(3)).tolist() == [3.0, np.inf, np.inf]

    def test_short_by_rounding_alone_is_over_and_once(self):
        for short_s, expected in ((0.5e-9, True), (2e-9, False)):
            monitor = LinkMonitor(self.config)
            monitor.start(SLOT)
            monitor.observe(SLOT, np.array([-9.0]), at_s=0.5)
            assert monitor.expire(SLOT, at_s=1.5 - short_s).tolist() == [expected]
            assert monitor.expire(SLOT, at_s=1.5 - short_s).tolist() == [False]

    def test_whether_any_timer_may_run_is_known(self):
        monitor = LinkMonitor(self.config)
        monitor.start(np.arange(2))
        assert not monitor.may_run
        monitor.observe(np.arange(2), np.array([-9.0, 0.0]), at_s=0.0)
        assert monitor.may_run
        monitor.observe(np.arange(2), np.array([-7.0, 0.0]), at_s=0.1)
        assert monitor.may_run  # it goes on between the thresholds
        monitor.observe(np.arange(2), np.array([0.0, 0.0]), at_s=0.2)
        assert monitor.running().tolist() == []
        assert not monitor.may_run


class TestFadeMean:
    def test_a_step_is_followed_in_closed_form_at_any_sampling(self):
        for num in (1, 4, 50):
            mean = FadeMean()
            mean.start(SLOT)
            mean.step(SLOT, np.array([1.0]), at_s=0.0)
            for k in range(1, num + 1):
                (value,) = mean.step(SLOT, np.array([0.1]), at_s=0.3 * k / num)
            kept = math.exp(-0.3 / (EVALUATION_S / 2))
            assert value == pytest.approx(0.1 + 0.9 * kept, rel=1e-12)

    def test_a_start_forgets(self):
        mean = FadeMean()
        mean.start(SLOT)
        mean.step(SLOT, np.array([5.0]), at_s=0.0)
        mean.start(SLOT)
        assert mean.step(SLOT, np.array([0.2]), at_s=0.01)[0] == 0.2


EDGE, FAR = (299.0, 0.0), (550.0, 0.0)
TIMER_S, RECOVERY_S = 1.0, 0.2


def at_the_edge(*, victim=EDGE, **changes):
    """Client 0 on the border of two cells, client 1 near the other site; Q_out is +3 dB.

    Alone client 0 has 35 dB more; with the other cell at full power its SINR is just above 0 dB.
    """
    settings = {
        "handover": A3Handover(),
        "bandwidth_hz": 5e6,
        "link_failure": LinkFailureConfig(
            out_of_sync_db=3.0, in_sync_db=5.0, timer_s=TIMER_S, recovery_s=RECOVERY_S
        ),
    }
    world = still_world([victim, FAR], layout=TWO_SITES)
    return make_network(world, plain_radio(**(settings | changes)))


def disturb(env, network, *, from_s, until_s):
    """Let the other cell send at full power for a while."""

    def process():
        yield env.timeout(from_s)
        transfer = network.send(1, "downlink", 10**10)
        yield env.timeout(until_s - from_s)
        transfer.cancel()

    env.process(process())


def failures_between(from_s, until_s):
    """One timer to the first failure, one recovery and one timer to each of the next."""
    return math.floor((until_s - from_s + RECOVERY_S) / (TIMER_S + RECOVERY_S) + 1e-9)


class TestStandingStillUnderInterference:
    @pytest.mark.parametrize(
        ("engine", "from_s", "until_s"),
        [
            ("flow", 0.5, 1.4),
            ("flow", 0.5, 1.6),
            ("flow", 0.5, 2.6),
            ("flow", 0.5, 3.0),
            ("slot", 0.1, 1.0),
            ("slot", 0.1, 1.2),
        ],
    )
    def test_the_link_fails_as_often_as_the_timer_says(self, engine, from_s, until_s):
        env, network = at_the_edge(engine=engine)
        disturb(env, network, from_s=from_s, until_s=until_s)
        timeout_s = until_s + 0.3
        (row,) = run_all(env, [network.send(0, "uplink", 10**10, timeout_s=timeout_s)])
        assert row.handovers == failures_between(from_s, until_s)
        assert (row.status, row.cell_id) == ("timeout", 0)

    def test_bytes_are_those_of_the_time_outside_the_pauses(self):
        """The uplink itself is undisturbed: 2 s of interference cost one recovery."""
        env, network = at_the_edge()
        rate_bps = network.link_table([0]).uplink_rate_bps[0]
        disturb(env, network, from_s=0.5, until_s=2.5)
        (row,) = run_all(env, [network.send(0, "uplink", 10**10, timeout_s=4.0)])
        assert row.handovers == 1
        assert row.delivered_bytes == pytest.approx((4.0 - RECOVERY_S) * rate_bps / 8, abs=1.0)

    def test_joules_add_up_and_the_pause_is_listened_to(self):
        env, network = at_the_edge()
        disturb(env, network, from_s=0.5, until_s=2.5)
        (row,) = run_all(env, [network.send(0, "uplink", 10**10, timeout_s=4.0)])
        entries = network.energy.ledger.client_entries()
        mine = entries.of(entries.owner_id == 0)
        assert mine.energy_j.sum() == pytest.approx(row.energy_j, rel=1e-12)
        seconds = {
            total.activity: total.seconds
            for total in network.energy.totals(4.0)
            if (total.owner, total.owner_id) == ("client", 0)
        }
        assert seconds == pytest.approx({"tx": 4.0 - RECOVERY_S, "idle": RECOVERY_S})

    def test_a_download_under_interference_too(self):
        env, network = at_the_edge()
        disturb(env, network, from_s=0.5, until_s=2.5)
        (row,) = run_all(env, [network.send(0, "downlink", 10**10, timeout_s=4.0)])
        assert (row.status, row.handovers) == ("timeout", 1)
        env, network = at_the_edge()
        (clear,) = run_all(env, [network.send(0, "downlink", 10**10, timeout_s=4.0)])
        assert 0 < row.delivered_bytes < clear.delivered_bytes

    @pytest.mark.parametrize("engine", ["flow", "slot"])
    def test_time_division_does_not_hide_the_interference(self, engine):
        """In the slot engine nothing is radiated in uplink slots; that is no recovery."""
        env, network = at_the_edge(engine=engine, duplex=TddDuplex(uplink_fraction=0.5))
        disturb(env, network, from_s=0.1, until_s=1.3)
        (row,) = run_all(env, [network.send(0, "uplink", 10**10, timeout_s=1.5)])
        assert row.handovers == 1

    def test_interference_from_the_start_counts_from_the_start(self):
        load = BackgroundShare(downlink_fraction=0.95)
        env, network = at_the_edge(background_load=load)
        (row,) = run_all(env, [network.send(0, "uplink", 10**10, timeout_s=5.0)])
        assert row.handovers == failures_between(0.0, 5.0) == 4

    def test_a_cell_that_is_stronger_is_joined(self):
        """Kept at the weaker cell by a large offset, it finds the other when its own fails."""
        outage = SiteOutage(site_id=1, started_at_s=0.0, finished_at_s=0.2)
        env, network = at_the_edge(
            victim=(340.0, 0.0),
            handover=A3Handover(offset_db=15.0),
            outages=(outage,),
        )
        disturb(env, network, from_s=0.5, until_s=3.5)
        (row,) = run_all(env, [network.send(0, "uplink", 10**10, timeout_s=3.0)])
        assert (row.cell_id, row.handovers) == (1, 1)

    def test_near_clients_cost_no_events(self):
        """Who is in sync whatever others send is never looked at: as many solves as events."""
        env, network = at_the_edge(victim=(50.0, 0.0))
        disturb(env, network, from_s=0.5, until_s=2.5)
        (row,) = run_all(env, [network.send(0, "uplink", 10**10, timeout_s=4.0)])
        assert row.handovers == 0
        assert network.num_solves == 3


class TestStandingStillInAFade:
    """Rayleigh fading, 3 km/h, no interference: who is near the edge of coverage fails at times."""

    @staticmethod
    def handovers(margin_db):
        """Failures of a client whose mean SNR is so far above Q_out."""
        world = still_world([(240.0, 0.0)])
        _, network = make_network(world, plain_radio())
        out_db = network.link_table([0]).mean_snr_db[0] - margin_db
        failure = LinkFailureConfig(out_of_sync_db=out_db, in_sync_db=out_db + 2.0, timer_s=0.1)
        radio = plain_radio(fading=RayleighFading(), link_failure=failure)
        env, network = make_network(world, radio)
        (row,) = run_all(env, [network.send(0, "uplink", 10**11, timeout_s=30.0)])
        return row.handovers

    def test_failures_become_rarer_with_the_margin(self):
        counts = [self.handovers(margin_db) for margin_db in (0.1, 3.0, 10.0)]
        assert counts[0] > counts[1] > counts[2] == 0
        assert counts[0] >= 5
