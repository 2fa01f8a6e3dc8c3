"""The kind ``wifi`` against closed forms."""

import pytest
import simpy

from netsim.access_networks.build import build_rate_network
from netsim.access_networks.rules import find_problems
from netsim.config.network import WifiNetworkConfig, WifiPowerConfig, WifiRateClass

MB = 1_000_000
POWER = WifiPowerConfig(transmit_w=2.0, receive_w=1.0, connected_w=0.5, tail_s=0.0)
TWO = (WifiRateClass(share=0.5, rate_bps=32e6), WifiRateClass(share=0.5, rate_bps=8e6))


def network(*, num_clients=8, seed=1, **settings):
    env = simpy.Environment()
    plain = {"rate_classes": TWO, "efficiency": 0.5, "rtt_s": 0.0, "power": POWER}
    config = WifiNetworkConfig(**{**plain, **settings})
    return env, build_rate_network(env, config, num_clients=num_clients, seed=seed)


def fast_and_slow(net, num_clients=8):
    rates = net.link_table(range(num_clients)).uplink_rate_bps.tolist()
    assert set(rates) == {16e6, 4e6}
    return rates.index(16e6), rates.index(4e6)


def rows(env, net):
    env.run(until=1000.0)
    return [row for _, row in sorted((row.transfer_id, row) for row in net.transfers())]


def test_alone_a_client_has_its_rate_times_the_efficiency():
    env, net = network()
    fast, _ = fast_and_slow(net)
    net.send(fast, "uplink", 2 * MB)
    (row,) = rows(env, net)
    assert row.finished_at_s == pytest.approx(1.0)
    assert row.energy_j == pytest.approx(2.0)


def test_equal_airtime():
    """Half the air each: 1 MB/s and 0.25 MB/s; from 2 s on the slow one alone at 0.5 MB/s."""
    env, net = network()
    fast, slow = fast_and_slow(net)
    net.send(fast, "uplink", 2 * MB)
    net.send(slow, "downlink", MB)
    one, other = rows(env, net)
    assert one.finished_at_s == pytest.approx(2.0)
    assert other.finished_at_s == pytest.approx(3.0)
    assert one.energy_j == pytest.approx(2.0 * 0.5 * (2.0 + 0.5))
    assert other.energy_j == pytest.approx(2.0 * 0.5 * (1.0 + 0.5) + 1.0 * 1.0)


def test_equal_throughput_lets_the_slow_hold_up_the_fast():
    """1 / (1 / 2 + 1 / 0.5) = 0.4 MB/s each, a fifth of the air for the fast one."""
    env, net = network(sharing="throughput")
    fast, slow = fast_and_slow(net)
    net.send(fast, "uplink", MB)
    net.send(slow, "uplink", MB)
    one, other = rows(env, net)
    assert one.finished_at_s == pytest.approx(2.5)
    assert other.finished_at_s == pytest.approx(2.5)
    assert one.energy_j == pytest.approx(2.5 * (0.2 * 2.0 + 0.8 * 0.5))


def test_access_points_do_not_share():
    env, net = network(num_access_points=2, rate_classes=(WifiRateClass(share=1, rate_bps=16e6),))
    for client_id in (0, 1, 2):
        net.send(client_id, "uplink", MB)
    first, other, second = rows(env, net)
    assert first.finished_at_s == second.finished_at_s == pytest.approx(2.0)
    assert other.finished_at_s == pytest.approx(1.0)
    assert [row.cell_id for row in (first, other, second)] == [0, 1, 0]


def test_classes_are_drawn_by_the_seed_and_the_shares():
    _, net = network(num_clients=400)
    rates = net.link_table(range(400)).uplink_rate_bps.tolist()
    assert 160 < rates.count(16e6) < 240
    _, fewer = network(num_clients=10)
    assert fewer.link_table(range(10)).uplink_rate_bps.tolist() == rates[:10]


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"rate_classes": TWO[:1]}, "rate_classes"),
        ({"num_access_points": 4}, "num_access_points"),
    ],
)
def test_what_does_not_fit_is_a_problem(settings, key):
    (problem,) = find_problems(WifiNetworkConfig(**settings), num_clients=3)
    assert problem.path == ("network", key)
