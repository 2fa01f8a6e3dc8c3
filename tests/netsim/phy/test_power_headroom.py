"""What a client limited in power makes of its grant: never less for more, one transmitter."""

from itertools import pairwise

import numpy as np
import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from netsim.checks.rules import UPLINK_ALPHAS
from netsim.config import RadioConfig, WorldConfig
from netsim.config.radio import NoFading, StarBackhaul, UplinkPowerConfig
from netsim.config.world import NoShadowing, SingleCellLayout, StaticMobility
from netsim.network import CellularNetwork
from netsim.phy.link_adaptation import RateTable
from netsim.phy.power_control import pusch_power_w
from netsim.phy.power_headroom import BestBitsPerWatt, per_transmitter
from netsim.units import db_to_linear

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")

NO_REDUCTION = UplinkPowerConfig(max_power_reduction=None)
BANDWIDTHS_HZ = (5e6, 10e6, 20e6, 40e6, 50e6, 60e6, 100e6)


def make(distance_m, *, bandwidth_hz=20e6, num_clients=1, **radio):
    env = simpy.Environment()
    world = WorldConfig(
        environment="uma",
        layout=SingleCellLayout(radius_m=2000.0),
        carrier_hz=3.5e9,
        mobility=StaticMobility(positions_m=((distance_m, 0.0),) * num_clients),
        line_of_sight="never",
        shadowing=NoShadowing(),
    )
    settings = RadioConfig(
        bandwidth_hz=bandwidth_hz,
        subcarrier_spacing_hz=30e3,
        fading=NoFading(),
        scheduler="round_robin",
        site_rx_antennas=1,
        access=None,
        **({"uplink_power": NO_REDUCTION} | radio),
    )
    return env, CellularNetwork(env, world, settings, num_clients=num_clients, seed=1)


@pytest.mark.parametrize("engine", ["flow", "slot"])
@pytest.mark.parametrize("distance_m", [250.0, 500.0, 800.0])
def test_more_bandwidth_is_never_slower_up_to_the_edge(distance_m, engine):
    """Sizes of transport blocks and their loss by length included."""
    durations_s = []
    for bandwidth_hz in BANDWIDTHS_HZ:
        env, network = make(distance_m, bandwidth_hz=bandwidth_hz, engine=engine)
        row = env.run(until=network.send(0, "uplink", 20_000).event)
        assert row.status == "delivered"
        durations_s.append(row.finished_at_s)
    # the slot engine may lose two slots of an upload to rounding, or 2 % to noise
    slack, most_s = (1e-9, 0.0) if engine == "flow" else (0.02, 1e-3)
    assert all(b <= a * (1 + slack) + most_s for a, b in pairwise(durations_s))


def test_the_best_number_of_blocks_is_that_of_trying_them_all():
    env, network = make(500.0, bandwidth_hz=100e6)
    row = env.run(until=network.send(0, "uplink", 100_000).event)
    air = network.air
    gain = network._channel.gain(np.array([0]), at_s=0.0)[0]
    density_w = air.uplink_power.density_w(gain)
    blocks = np.arange(1, air.num_blocks + 1, dtype=float)
    sinr = air.uplink_power.block_power_w(density_w, blocks) * gain / air.site_noise_w
    as_sent_bps, _ = air.outcome(sinr, blocks, fade=np.ones(len(blocks)), is_uplink=True)
    chosen = round(row.num_resource_blocks)
    assert row.num_resource_blocks == pytest.approx(chosen)
    assert as_sent_bps[chosen - 1] == pytest.approx(as_sent_bps.max(), rel=0.01)
    assert 8 * 100_000 / row.finished_at_s == pytest.approx(as_sent_bps[chosen - 1], rel=1e-6)


@given(
    gain_db=st.floats(-160, -40),
    blocks=st.floats(1, 273),
    p0_dbm=st.floats(-120, -50),
    alpha=st.sampled_from(UPLINK_ALPHAS),
    max_dbm=st.floats(0, 26),
)
def test_power_is_that_of_the_standard(gain_db, blocks, p0_dbm, alpha, max_dbm):
    power = UplinkPowerConfig(p0_dbm=p0_dbm, alpha=alpha, max_dbm=max_dbm, max_power_reduction=None)
    _, network = make(100.0, uplink_power=power)
    density_w = network.air.uplink_power.density_w(np.array([db_to_linear(gain_db)]))
    found_w = network.air.uplink_power.block_power_w(density_w, np.array([blocks])) * blocks
    expected_w = pusch_power_w(
        -gain_db, blocks, p0_dbm=p0_dbm, alpha=alpha, max_dbm=max_dbm, subcarrier_spacing_hz=30e3
    )
    np.testing.assert_allclose(found_w, expected_w, rtol=1e-9)


def test_thrift_never_goes_down_nor_carries_less():
    table = RateTable(mcs_table_number=1)
    sinr = 10.0 ** np.linspace(-2.4, 5.9, 3001)
    wanted = BestBitsPerWatt(table.spectral_efficiency).sinr(sinr)
    assert np.all(wanted >= sinr)
    per_watt = table.spectral_efficiency(sinr) / sinr
    better = table.spectral_efficiency(wanted) / wanted
    assert np.all(better >= per_watt * (1 - 0.02))  # the table behind it has steps of 0.05 dB
    assert np.all(better[sinr < 1e-2] > 0.5)


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_two_uploads_of_one_client_share_its_power(engine):
    env, network = make(500.0, engine=engine)
    one = env.run(until=network.send(0, "uplink", 200_000).event)
    env, network = make(500.0, engine=engine)
    both = [network.send(0, "uplink", 100_000) for _ in range(2)]
    env.run(until=simpy.AllOf(env, [transfer.event for transfer in both]))
    # halves of whole blocks are rounded down in the slot engine
    assert env.now == pytest.approx(one.finished_at_s, rel=0.01 if engine == "flow" else 0.08)
    sent = [each for each in network.energy.totals(env.now) if each.activity == "tx"]
    assert sum(each.seconds for each in sent) <= env.now * (1 + 1e-9)
    assert sum(each.energy_j for each in sent) == pytest.approx(one.energy_j, rel=0.08)


def test_turns_of_one_client_are_not_added_up():
    client, blocks = np.array([3, 3, 5]), np.array([10.0, 20.0, 7.0])
    total, share = per_transmitter(client, blocks, np.array([0.5, 0.5, 1.0]))
    np.testing.assert_array_equal(total, blocks)
    np.testing.assert_array_equal(share, 1.0)
    total, share = per_transmitter(client, blocks, np.ones(3))
    np.testing.assert_array_equal(total, [30.0, 30.0, 7.0])
    np.testing.assert_array_equal(share, [0.5, 0.5, 1.0])


def test_who_waits_for_the_backhaul_links_does_not_send_in_vain():
    env, network = make(250.0)
    free = env.run(until=network.send(0, "uplink", 1_000_000).event)
    env, network = make(250.0, backhaul=StarBackhaul(rate_bps=1e6))
    held = env.run(until=network.send(0, "uplink", 1_000_000).event)
    assert held.finished_at_s == pytest.approx(8.0, rel=1e-6)

    def tx_j(network, until_s):
        return sum(e.energy_j for e in network.energy.totals(until_s) if e.activity == "tx")

    assert tx_j(network, held.finished_at_s) == pytest.approx(free.energy_j, rel=1e-6)


def test_where_bits_per_watt_only_fall_every_block_is_used():
    best = BestBitsPerWatt(np.log1p)
    sinr = 10.0 ** np.linspace(-2.5, 5.9, 200)
    np.testing.assert_array_equal(best.sinr(sinr), sinr)


def test_below_a_threshold_blocks_are_given_up_until_it_is_reached():
    """Nothing below 3 dB, one bit from there on: most bits per watt are carried at 3 dB."""
    best = BestBitsPerWatt(lambda sinr: np.where(sinr > 10**0.29999, 1.0, 0.0))
    sinr_db = np.array([-90.0, -24.99, 0.0, 2.94, 3.01, 10.0])
    found_db = 10 * np.log10(best.sinr(10 ** (sinr_db / 10)))
    assert found_db == pytest.approx([3.0, 3.0, 3.0, 3.0, 3.01, 10.0])
    assert best.sinr(np.array([0.0]))[0] == pytest.approx(10**0.3)


def test_of_two_thresholds_the_one_that_carries_more_bits_per_watt_counts():
    """1 bit from 0 dB and 2.5 bits from 3 dB: the second is 25 % better; 4 from 9 dB is worse."""

    def efficiency(sinr):
        sinr = sinr * (1 + 1e-9)
        return 1.0 * (sinr >= 1) + 1.5 * (sinr >= 10**0.3) + 1.5 * (sinr >= 10**0.9)

    best = BestBitsPerWatt(efficiency)
    found_db = 10 * np.log10(best.sinr(10 ** (np.array([-10.0, 0.02, 2.0, 4.0, 7.0]) / 10)))
    assert found_db == pytest.approx([3.0, 3.0, 3.0, 4.0, 9.0])  # 4 dB: 2.5 / 2.5 > 4 / 7.9


def test_above_the_table_it_is_the_sinr_itself():
    best = BestBitsPerWatt(lambda sinr: sinr**2)  # more bits per watt the higher
    assert best.sinr(np.array([1e9]))[0] == 1e9
    assert best.sinr(np.array([1.0]))[0] == pytest.approx(1e6)  # the top of the table, 60 dB


def test_transfers_of_one_client_share_its_time_by_all_their_activities():
    client, blocks = np.array([3, 5, 3, 3]), np.array([10.0, 7.0, 20.0, 0.0])
    activity = np.array([0.75, 1.0, 0.5, 1.0])
    # What holds no block is not on air: 1.25, not 2.25.
    total, share = per_transmitter(client, blocks, activity)
    np.testing.assert_array_equal(total, [30.0, 7.0, 30.0, 30.0])
    np.testing.assert_allclose(share, [0.8, 1.0, 0.8, 1.0])


def test_activities_that_fill_the_time_but_for_rounding_are_turns():
    client, blocks = np.array([3, 3]), np.array([10.0, 20.0])
    for more, is_shared in ((0.9e-9, False), (2e-9, True)):
        total, _ = per_transmitter(client, blocks, np.array([0.5, 0.5 + more]))
        assert total.tolist() == ([30.0, 30.0] if is_shared else [10.0, 20.0])


def test_every_instant_has_its_own_sums():
    client = np.array([3, 3])
    blocks = np.array([[10.0, 20.0], [1.0, 2.0], [5.0, 0.0]])
    activity = np.array([[1.0, 1.0], [0.25, 0.5], [1.0, 1.0]])
    total, share = per_transmitter(client, blocks, activity)
    np.testing.assert_array_equal(total, [[30.0, 30.0], [1.0, 2.0], [5.0, 0.0]])
    np.testing.assert_array_equal(share, [[0.5, 0.5], [1.0, 1.0], [1.0, 1.0]])
