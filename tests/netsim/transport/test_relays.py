"""Bytes between sites and server: latency, shares of links, cuts."""

import pytest
import simpy

from netsim.config.radio import BackhaulLink, LinkCut
from netsim.transport.backhaul import SERVER, Backhaul, star
from netsim.transport.relays import Relays


def arrivals(backhaul, begins, *, num_sites=3):
    """Return when each of (instant, site, direction, bytes) arrives."""
    env = simpy.Environment()
    relays = Relays(env, backhaul, num_sites=num_sites)
    found = {}

    def begin(index, at_s, *what):
        yield env.timeout(at_s)
        yield relays.relay(*what)
        found[index] = env.now

    for index, each in enumerate(begins):
        env.process(begin(index, *each))
    env.run()
    return [found[index] for index in range(len(begins))]


def test_alone_a_relay_takes_its_bits_at_the_rate_and_the_latency():
    backhaul = Backhaul(star(3, latency_s=0.02, rate_bps=1e6), num_sites=3)
    assert arrivals(backhaul, [(1.0, 2, "uplink", 125_000)]) == pytest.approx([2.02], abs=1e-9)


def test_without_a_limit_only_the_latency_counts():
    backhaul = Backhaul(star(3, latency_s=0.02), num_sites=3)
    assert arrivals(backhaul, [(0.0, 0, "downlink", 10**6)]) == pytest.approx([0.02], abs=1e-6)


def test_relays_of_one_direction_share_a_link_and_those_of_two_do_not():
    """A router behind 1 Mb/s: 1 Mbit from 0 s, the same from 0.5 s; by hand 1.5 and 2 s."""
    links = (
        BackhaulLink(ends=("site-0", "hub")),
        BackhaulLink(ends=("site-1", "hub")),
        BackhaulLink(ends=("hub", SERVER), rate_bps=1e6),
    )
    backhaul = Backhaul(links, num_sites=2)
    begins = [(0.0, 0, "uplink", 125_000), (0.5, 1, "uplink", 125_000)]
    found = arrivals(backhaul, [*begins, (0.5, 1, "downlink", 125_000)], num_sites=2)
    assert found == pytest.approx([1.5, 2.0, 1.5], abs=1e-9)


def test_a_relay_waits_while_its_link_is_cut():
    cut = LinkCut(ends=("site-0", SERVER), started_at_s=0.25, finished_at_s=10.0)
    backhaul = Backhaul(star(1, rate_bps=1e6), num_sites=1, cuts=(cut,))
    assert arrivals(backhaul, [(0.0, 0, "uplink", 125_000)], num_sites=1) == pytest.approx(
        [10.75], abs=1e-9
    )


def test_many_relays_of_a_link_end_in_the_order_of_their_sizes():
    backhaul = Backhaul(star(1, rate_bps=8e6), num_sites=1)
    found = arrivals(backhaul, [(0.0, 0, "uplink", 10**6 * k) for k in (1, 2, 3)], num_sites=1)
    assert found == pytest.approx([3.0, 5.0, 6.0], abs=1e-9)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ((3, "uplink", 1), "site_id: must be 0 to 2, got 3"),
        ((-1, "uplink", 1), "site_id: must be 0 to 2, got -1"),
        ((0, "up", 1), "direction: must be uplink or downlink, got 'up'"),
        ((0, "uplink", 0), "size_bytes: must be >= 1, got 0"),
    ],
)
def test_what_cannot_be_moved_is_refused(what, message):
    relays = Relays(simpy.Environment(), Backhaul(star(3), num_sites=3), num_sites=3)
    with pytest.raises(ValueError, match=message):
        relays.relay(*what)
