"""The kind ``constant`` against closed forms."""

import numpy as np
import pytest
import simpy

from netsim.access_networks.build import build_rate_network
from netsim.config.network import ConstantNetworkConfig, ModemPowerConfig

MB = 1_000_000
POWER = ModemPowerConfig(transmit_w=2.0, receive_w=1.0, connected_w=0.5, tail_s=4.0)
PLAIN = {"uplink_rate_bps": 8e6, "downlink_rate_bps": 16e6, "rtt_s": 0.1, "power": POWER}


def network(num_clients=3, **settings):
    env = simpy.Environment()
    config = ConstantNetworkConfig(**{**PLAIN, **settings})
    return env, build_rate_network(env, config, num_clients=num_clients, seed=1)


def rows(env, net, until_s=1000.0):
    env.run(until=until_s)
    return {row.transfer_id: row for row in net.transfers()}


@pytest.mark.parametrize(
    ("direction", "setup_s", "started_at_s", "took_s"),
    [
        ("uplink", 0.0, 0.0, 0.05 + 1.0),
        ("downlink", 0.0, 0.05, 0.05 + 0.5),
        ("uplink", 0.2, 0.2, 0.2 + 0.05 + 1.0),
        ("downlink", 0.2, 0.25, 0.2 + 0.05 + 0.5),
    ],
)
def test_time_is_setup_plus_latency_plus_bytes_over_rate(direction, setup_s, started_at_s, took_s):
    env, net = network(setup_s=setup_s)
    net.send(1, direction, MB, participation_id=7)
    (row,) = rows(env, net).values()
    assert row.finished_at_s == pytest.approx(took_s, rel=1e-12)
    assert row.started_at_s == pytest.approx(started_at_s, rel=1e-12)
    assert row.access_s == pytest.approx(setup_s + 0.05, rel=1e-12)
    assert row.queue_s == 0.0
    assert (row.status, row.delivered_bytes, row.participation_id) == ("delivered", MB, 7)
    assert (row.client_id, row.direction, row.cell_id, row.mean_sinr_db) == (1, direction, 0, None)


def test_energy_is_power_times_time():
    """One upload of 1 s after 0.2 s of set-up, its tail of 4 s, then one download of 0.5 s."""
    env, net = network(setup_s=0.2)
    net.send(0, "uplink", MB)
    env.run(until=100.0)
    net.send(0, "downlink", MB)
    up, down = rows(env, net, until_s=200.0).values()
    assert up.energy_j == pytest.approx(0.2 * 0.5 + 1.0 * 2.0)
    assert down.energy_j == pytest.approx(0.2 * 0.5 + 0.5 * 1.0)
    # What follows the set-up of the download, its latency, is the tail of the set-up.
    tails_j = (4.0 + 0.05 + 4.0) * 0.5
    assert net.energy.total_energy_j(200.0) == pytest.approx(up.energy_j + down.energy_j + tails_j)
    assert net.energy.client_energy_j(np.array([0, 1]), 200.0).tolist() == [
        pytest.approx(up.energy_j + down.energy_j + tails_j), 0.0,
    ]  # fmt: skip
    assert net.energy.site_energy_j(200.0) == 0
    seconds = {each.activity: each.seconds for each in net.energy.totals(200.0)}
    assert seconds["tx"] == pytest.approx(1.0)
    assert seconds["rx"] == pytest.approx(0.5)


def test_energy_is_complete_in_the_middle_of_a_transfer():
    env, net = network(setup_s=0.2)
    net.send(0, "uplink", MB)
    env.run(until=0.1)
    assert net.energy.total_energy_j(0.1) == pytest.approx(0.1 * 0.5)
    env.run(until=0.7)
    assert net.energy.total_energy_j(0.7) == pytest.approx(0.2 * 0.5 + 0.5 * 2.0)
    (row,) = rows(env, net).values()
    assert row.energy_j == pytest.approx(0.2 * 0.5 + 2.0)
    assert row.finished_at_s == pytest.approx(1.25, rel=1e-12)


def test_transfers_of_one_client_share_its_link():
    """1 MB and 2 MB at 1 MB/s: half each for 2 s, then the rest of 1 MB alone."""
    env, net = network(rtt_s=0.0)
    net.send(0, "uplink", MB)
    net.send(0, "uplink", 2 * MB)
    net.send(1, "uplink", MB)
    first, second, other = (row for _, row in sorted(rows(env, net).items()))
    assert first.finished_at_s == pytest.approx(2.0)
    assert second.finished_at_s == pytest.approx(3.0)
    assert other.finished_at_s == pytest.approx(1.0)
    # One modem: the joules of both are those of 3 s.
    assert first.energy_j == pytest.approx(0.5 * 2.0 * 2.0)
    assert first.energy_j + second.energy_j == pytest.approx(3.0 * 2.0)


def test_directions_do_not_share():
    env, net = network(rtt_s=0.0)
    net.send(0, "uplink", MB)
    net.send(0, "downlink", MB)
    up, down = (row for _, row in sorted(rows(env, net).items()))
    assert (up.finished_at_s, down.finished_at_s) == (pytest.approx(1.0), pytest.approx(0.5))


def test_a_total_is_shared_by_all_who_send():
    """Two clients of 8 Mbit/s on 8 Mbit/s: 4 each; from 1 s on the second one has all."""
    env, net = network(rtt_s=0.0, total_uplink_rate_bps=8e6)
    net.send(0, "uplink", MB // 2)
    net.send(1, "uplink", MB)
    net.send(2, "downlink", MB)
    first, second, down = (row for _, row in sorted(rows(env, net).items()))
    assert first.finished_at_s == pytest.approx(1.0)
    assert second.finished_at_s == pytest.approx(1.5)
    assert down.finished_at_s == pytest.approx(0.5)
    assert second.energy_j == pytest.approx(1.5 * 2.0)


def test_a_total_above_one_clients_rate_does_not_speed_it_up():
    env, net = network(rtt_s=0.0, total_uplink_rate_bps=12e6)
    net.send(0, "uplink", MB)
    net.send(1, "uplink", MB)
    first, second = (row for _, row in sorted(rows(env, net).items()))
    assert first.finished_at_s == second.finished_at_s == pytest.approx(8 / 6)
    net.send(0, "uplink", MB)
    (alone,) = rows(env, net, until_s=2000.0).values()
    assert alone.finished_at_s == pytest.approx(1001.0)


def test_what_never_is_on_its_link_is_all_access():
    env, net = network(setup_s=0.2)
    net.send(0, "downlink", MB, timeout_s=0.1)
    net.send(0, "uplink", MB, timeout_s=0.7)
    never, late = (row for _, row in sorted(rows(env, net).items()))
    assert (never.status, never.access_s, never.queue_s) == ("timeout", 0.1, 0.0)
    # It leaves its link half a round trip before its deadline.
    assert late.status == "timeout"
    assert late.access_s == pytest.approx(0.2 + 0.05)


@pytest.mark.parametrize(
    ("direction", "timeout_s", "status", "delivered_bytes", "ends_at_s"),
    [
        ("uplink", 1.05, "delivered", MB, 1.05),
        ("uplink", 0.55, "timeout", MB // 2, 0.55),  # what left by 0.5 s is there by 0.55 s
        ("uplink", 0.04, "timeout", 0, 0.04),  # shorter than the latency
        ("downlink", 0.55, "delivered", MB, 0.55),
        ("downlink", 0.30, "timeout", MB // 2, 0.30),
        ("downlink", 0.05, "timeout", 0, 0.05),
    ],
)
def test_a_deadline(direction, timeout_s, status, delivered_bytes, ends_at_s):
    env, net = network()
    net.send(0, direction, MB, timeout_s=timeout_s)
    (row,) = rows(env, net).values()
    assert row.status == status
    assert row.finished_at_s == pytest.approx(ends_at_s, rel=1e-12)
    assert row.delivered_bytes == pytest.approx(delivered_bytes, abs=1)


def test_the_scenarios_own_deadline():
    env, net = network(transfer_timeout_s=0.5)
    net.send(0, "uplink", MB)
    (row,) = rows(env, net).values()
    assert (row.status, row.finished_at_s) == ("timeout", 0.5)


def test_cancel_ends_what_is_on_its_link_and_not_what_is_under_way():
    env, net = network()
    transfer = net.send(0, "uplink", MB)
    late = net.send(1, "uplink", MB)
    waiting = net.send(2, "downlink", MB)
    env.run(until=0.04)
    waiting.cancel()
    env.run(until=0.5)
    transfer.cancel("late")
    env.run(until=1.01)
    late.cancel("late")
    first, second, third = (row for _, row in sorted(rows(env, net).items()))
    assert (first.status, first.delivered_bytes, first.finished_at_s) == ("late", MB // 2, 0.5)
    assert first.energy_j == pytest.approx(1.0)
    assert (second.status, second.finished_at_s) == ("delivered", pytest.approx(1.05))
    assert (third.status, third.delivered_bytes, third.energy_j) == ("cancelled", 0, 0.0)
    assert third.started_at_s == third.finished_at_s == 0.04


def test_cancel_at_the_instant_of_the_last_byte_has_no_effect():
    env, net = network(rtt_s=0.0)
    transfer = net.send(0, "uplink", MB)
    env.timeout(1.0).callbacks.append(lambda _: transfer.cancel())
    (row,) = rows(env, net).values()
    assert (row.status, row.delivered_bytes) == ("delivered", MB)


def test_a_cancelled_transfer_makes_room():
    env, net = network(rtt_s=0.0)
    long = net.send(0, "uplink", 10 * MB)
    net.send(0, "uplink", MB)
    env.run(until=1.0)
    long.cancel()
    short = rows(env, net)[1]
    assert short.finished_at_s == pytest.approx(1.5)


def test_broadcast_is_a_copy_each():
    env, net = network(rtt_s=0.0, total_downlink_rate_bps=16e6)
    net.broadcast([2, 0], MB, participation_ids=[5, 6])
    one, other = (row for _, row in sorted(rows(env, net).items()))
    assert (one.client_id, one.participation_id) == (2, 5)
    assert (other.client_id, other.participation_id) == (0, 6)
    assert one.finished_at_s == other.finished_at_s == pytest.approx(1.0)


def test_link_table_tells_rates_and_refuses_signals():
    _, net = network(total_downlink_rate_bps=10e6)
    links = net.link_table([2, 0])
    assert links.uplink_rate_bps.tolist() == [8e6, 8e6]
    assert links.downlink_rate_bps.tolist() == [10e6, 10e6]
    assert links.uplink_w.tolist() == [2.0, 2.0]
    assert links.cell_id.tolist() == links.site_id.tolist() == [0, 0]
    for column in ("snr_db", "mean_snr_db"):
        with pytest.raises(ValueError, match="network of kind constant knows no signals"):
            getattr(links, column)


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        ((3, "uplink", 1), "client_id: must be 0 to 2, got 3"),
        ((0, "sideways", 1), "direction"),
        ((0, "uplink", 0), "size_bytes"),
    ],
)
def test_requests_of_nothing_are_refused(request_, fault):
    _, net = network()
    with pytest.raises(ValueError, match=fault):
        net.send(*request_)


def test_a_repeated_client_in_a_broadcast_is_refused():
    _, net = network()
    with pytest.raises(ValueError, match="distinct"):
        net.broadcast([1, 1], MB)


def test_work_is_conserved():
    """Many transfers on one total: the last one ends when all bytes have crossed it."""
    env, net = network(num_clients=8, rtt_s=0.0, total_uplink_rate_bps=8e6)
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, MB, size=40).tolist()
    for place, size in enumerate(sizes):
        net.send(place % 8, "uplink", size)
    ended = rows(env, net)
    assert max(row.finished_at_s for row in ended.values()) == pytest.approx(sum(sizes) / 1e6)
    assert all(row.status == "delivered" for row in ended.values())
