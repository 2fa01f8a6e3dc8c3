"""Power reduction by modulation in the engines: SINR, power and rate of clients at their limit."""

import numpy as np
import pytest

from netsim.config.radio import MaxPowerReduction, UplinkPowerConfig
from netsim.config.world import SingleCellLayout
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")

AT_LIMIT = {"p0_dbm": 24.0, "alpha": 0.0}
"""Power control asks for more than the limit in one block."""
ENGINES = ["flow", "slot"]


def upload(distance_m, reduction, *, engine="flow", size_bytes=100_000, **changes):
    world = still_world(
        [(distance_m, 0.0)], layout=SingleCellLayout(radius_m=2e3), line_of_sight="never"
    )
    power = UplinkPowerConfig(max_power_reduction=reduction, **(AT_LIMIT | changes))
    radio = plain_radio(bandwidth_hz=5e6, engine=engine, uplink_power=power)
    env, network = make_network(world, radio)
    (row,) = run_all(env, [network.send(0, "uplink", size_bytes)])
    return network, row


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scheduler", ["round_robin", "equal_finish", "proportional_fair"])
def test_at_the_limit_64qam_is_received_lower_by_its_reduction(engine, scheduler):
    """Close to the site 64QAM in all blocks is best with and without it."""
    sinr_db = []
    for reduction in (None, MaxPowerReduction()):
        power = UplinkPowerConfig(max_power_reduction=reduction, **AT_LIMIT)
        radio = plain_radio(
            bandwidth_hz=5e6, engine=engine, scheduler=scheduler, uplink_power=power
        )
        env, network = make_network(still_world([(60.0, 0.0)]), radio)
        (row,) = run_all(env, [network.send(0, "uplink", 100_000)])
        assert row.num_resource_blocks == pytest.approx(11)
        sinr_db.append(row.mean_sinr_db)
    assert sinr_db[0] > 25
    assert sinr_db[1] == pytest.approx(sinr_db[0] - 3.5, abs=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_radio_draws_what_it_radiates(engine):
    """Power and time of the link are those of a power class that is 3.5 dB lower."""
    network, row = upload(60.0, MaxPowerReduction(), engine=engine)
    lower, row_of_lower = upload(60.0, None, engine=engine, max_dbm=19.5)
    assert row.finished_at_s == pytest.approx(row_of_lower.finished_at_s, rel=1e-9)
    assert row.energy_j == pytest.approx(row_of_lower.energy_j, rel=1e-9)
    told, told_of_lower = network.link_table([0]), lower.link_table([0])
    assert told.uplink_w == pytest.approx(told_of_lower.uplink_w, rel=1e-9)
    assert told.uplink_rate_bps == pytest.approx(told_of_lower.uplink_rate_bps, rel=1e-9)


@pytest.mark.parametrize("engine", ENGINES)
def test_clients_with_power_to_spare_do_not_notice(engine):
    rows = [
        upload(60.0, reduction, engine=engine, p0_dbm=-100.0, alpha=0.8)[1]
        for reduction in (None, MaxPowerReduction())
    ]
    assert rows[1].finished_at_s == pytest.approx(rows[0].finished_at_s, rel=1e-9)
    assert rows[1].energy_j == pytest.approx(rows[0].energy_j, rel=1e-9)


@pytest.mark.parametrize("distance_m", [150.0, 300.0, 450.0, 700.0])
def test_blocks_are_those_of_trying_each_number(distance_m):
    """Of all numbers of blocks, at the SINR that their modulation allows, the fastest is used."""
    network, row = upload(distance_m, MaxPowerReduction())
    air = network.air
    gain = network._channel.gain(np.array([0]), at_s=0.0)[0]
    blocks = np.arange(1, air.num_blocks + 1, dtype=float)
    full = 10 ** (23 / 10 - 3) / blocks * gain / air.site_noise_w
    sinr_db = np.arange(-40, 60, 0.005)
    order = air.rates.mcs.modulation_order[air.rates.mcs_index(10 ** (sinr_db / 10))]
    taken_db = sinr_db + np.array([{2: 1.5, 4: 2.0, 6: 3.5}[each] for each in order.tolist()])
    best_db = np.array([sinr_db[taken_db <= each].max() for each in 10 * np.log10(full.ravel())])
    rate_bps, _ = air.outcome(
        10 ** (best_db / 10), blocks, fade=np.ones(len(blocks)), is_uplink=True
    )
    chosen = round(row.num_resource_blocks)
    assert row.num_resource_blocks == pytest.approx(chosen)
    assert rate_bps[chosen - 1] == pytest.approx(rate_bps.max(), rel=0.01)
    assert row.mean_sinr_db == pytest.approx(best_db[chosen - 1], abs=0.02)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_never_helps(engine):
    for distance_m in (300.0, 600.0):
        rows = [
            upload(distance_m, reduction, engine=engine, size_bytes=30_000)[1]
            for reduction in (None, MaxPowerReduction())
        ]
        assert rows[1].finished_at_s > rows[0].finished_at_s


def test_engines_agree_on_clients_at_the_limit():
    """Of three clients, one for each modulation."""
    places = [(x_m, 0.0) for x_m in (60.0, 150.0, 250.0)]
    means_s = []
    for engine in ENGINES:
        radio = plain_radio(engine=engine, uplink_power=UplinkPowerConfig(**AT_LIMIT))
        env, network = make_network(still_world(places, line_of_sight="never"), radio)
        rows = run_all(env, [network.send(k, "uplink", 200_000) for k in range(3)])
        means_s.append(np.mean([row.finished_at_s for row in rows]))
    assert means_s[1] == pytest.approx(means_s[0], rel=0.02)
