"""MMSE combining in both engines: closed forms with one interferer, and that the engines agree."""

import numpy as np
import pytest

from netsim.config import WorldConfig
from netsim.config.radio import BackgroundShare, NoFading, RayleighFading, UplinkPowerConfig
from netsim.config.world import HexagonalLayout, StaticMobility
from netsim.engines.interference import InterferenceMoments
from netsim.engines.suppressed_interference import Suppressed
from netsim.phy.interference_rejection import InterferenceRejection
from tests.netsim.worlds import NEAR_0, NEAR_1, make_network, plain_radio, run_all, two_sites

ENGINES = ["flow", "slot"]
BETWEEN = ((260.0, 0.0), (330.0, 0.0))
"""Each disturbs the other's site strongly."""
WITHIN_POWER = UplinkPowerConfig(max_dbm=33.0, max_power_reduction=None)
"""No client is at its power limit."""


def one_interferer_w(num_antennas, noise_w, received_w):
    """Noise and interference that are left, exactly."""
    others = (num_antennas - 1) / noise_w
    return num_antennas / (others + 1.0 / (noise_w + num_antennas * received_w))


def sinrs_db(engine, *, num_antennas=4, places=BETWEEN, **radio):
    """Mean SINRs of two uploads that go on all the time, and the network."""
    env, network = two_sites(places, engine=engine, site_rx_antennas=num_antennas, **radio)
    sent = [network.send(k, "uplink", 10**9, timeout_s=0.2) for k in (0, 1)]
    return np.array([row.mean_sinr_db for row in run_all(env, sent)]), network


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("num_antennas", [2, 4, 64])
@pytest.mark.parametrize("scheduler", ["round_robin", "proportional_fair"])
def test_one_interferer_leaves_its_closed_form(engine, num_antennas, scheduler):
    settings = {"num_antennas": num_antennas, "scheduler": scheduler}
    settings["uplink_power"] = WITHIN_POWER
    found_db, network = sinrs_db(engine, site_combining="mmse", **settings)
    ratio_db, _ = sinrs_db(engine, **settings)
    air, gain = network.air, network._channel.gain(np.arange(2), at_s=0.0)
    own, cross = np.diag(gain), np.diag(gain[:, ::-1])
    band = np.full(2, float(air.uplink_blocks))
    block_w = air.uplink_power.block_power_w(air.uplink_power.density_w(own), band)
    heard_w = (block_w * cross)[::-1]
    left_w = one_interferer_w(num_antennas, air.site_noise_w, heard_w)
    closed_db = 10 * np.log10(num_antennas * block_w * own / left_w)
    np.testing.assert_allclose(found_db, closed_db, atol=1e-5)
    gained_db = 10 * np.log10((air.site_noise_w + heard_w) / left_w)
    assert np.all(gained_db > 1.0)
    np.testing.assert_allclose(found_db - ratio_db, gained_db, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_without_an_interferer_rows_are_those_of_maximum_ratio_combining(engine):
    rows = []
    for combining in ("mrc", "mmse"):
        env, network = two_sites(
            (NEAR_0, NEAR_1), engine=engine, site_rx_antennas=4, site_combining=combining
        )
        rows.append(run_all(env, [network.send(0, "uplink", 500_000)]))
    assert rows[0] == rows[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_downlinks_are_left_alone(engine):
    rows = []
    for combining in ("mrc", "mmse"):
        env, network = two_sites(
            BETWEEN, engine=engine, site_rx_antennas=4, site_combining=combining
        )
        rows.append(run_all(env, [network.send(k, "downlink", 200_000) for k in (0, 1)]))
    assert rows[0] == rows[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_background_share_leaves_a_part_of_the_interference(engine):
    """A third of the blocks meets nobody: a third of what one leaves is missing."""
    background = BackgroundShare(uplink_fraction=1 / 3)
    found_db, network = sinrs_db(engine, site_combining="mmse", background_load=background)
    air, gain = network.air, network._channel.gain(np.arange(2), at_s=0.0)
    own, cross = np.diag(gain), np.diag(gain[:, ::-1])
    block_w = air.uplink_power.block_power_w(
        air.uplink_power.density_w(own), np.full(2, float(air.uplink_blocks))
    )
    heard_w = (block_w * cross)[::-1]
    rejection = InterferenceRejection(num_antennas=4, noise_w=air.site_noise_w)
    left_w = rejection.noise_and_interference_w(np.diag(heard_w), np.full(2, 2 / 3))
    np.testing.assert_allclose(found_db, 10 * np.log10(4 * block_w * own / left_w), atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_network_tells_what_combining_leaves(engine):
    """The interference that link tables use."""
    env, network = two_sites(BETWEEN, engine=engine, site_rx_antennas=4, site_combining="mmse")
    for client_id in (0, 1):
        network.send(client_id, "uplink", 10**9, timeout_s=0.5)
    env.run(until=0.3)
    air, gain = network.air, network._channel.gain(np.arange(2), at_s=0.0)
    block_w = air.uplink_power.block_power_w(
        air.uplink_power.density_w(np.diag(gain)), np.full(2, float(air.uplink_blocks))
    )
    heard_w = (block_w * np.diag(gain[:, ::-1]))[::-1]
    left_w = one_interferer_w(4, air.site_noise_w, heard_w) - air.site_noise_w
    found_w = network._engine.uplink_interference_w[:, 0]
    np.testing.assert_allclose(found_w, left_w, rtol=1e-5)


def test_interferers_in_turn_are_suppressed_one_by_one():
    """Two users, a third and two thirds of the time, in both of two instants."""
    cross_gain, rejection = (
        np.array([[0.0, 3.0], [0.0, 50.0]]),
        InterferenceRejection(num_antennas=4, noise_w=0.5),
    )
    shares = np.tile(np.array([[[1 / 3], [2 / 3]]]), (2, 1, 1))
    found = InterferenceMoments.from_time_shared(
        cross_gain,
        np.ones((2, 2)),
        shares,
        activity=shares[..., 0],
        weight=np.array([0.5, 0.5]),
        first_of_cell=np.array([0]),
        noise_w=0.5,
        suppressed=Suppressed(rejection, np.ones((2, 2))),
    )
    left_w = one_interferer_w(4, 0.5, np.array([3.0, 50.0]))
    part = np.array([1 / 3, 2 / 3])
    assert found.mean_w[0, 0] == 0.5
    assert found.mean_w[1, 0] == pytest.approx(part @ left_w, rel=0.01)
    assert found.log_mean[1, 0] == pytest.approx(part @ np.log(left_w), abs=0.01)


def test_who_has_part_of_a_group_leaves_part_of_the_interference():
    """The same in frequency as in time: half of the blocks at full power."""
    cross_gain = np.array([[0.0, 40.0]])
    rejection = InterferenceRejection(num_antennas=2, noise_w=0.5)
    block_w, shares = np.full((1, 1), 2.0), np.full((1, 1, 1), 0.5)
    suppressed = Suppressed(rejection, block_w)
    settings = {"weight": np.ones(1), "noise_w": 0.5, "suppressed": suppressed}
    shared = InterferenceMoments.from_frequency_shared(cross_gain, block_w, shares, **settings)
    drawn = InterferenceMoments.from_time_shared(
        cross_gain,
        block_w,
        shares,
        activity=np.ones((1, 1)),
        first_of_cell=np.array([0]),
        **settings,
    )
    expected_w = rejection.noise_and_interference_w(np.array([[80.0]]), np.array([0.5]))[0]
    assert shared.mean_w[1, 0] == pytest.approx(expected_w, rel=1e-6)
    assert drawn.mean_w[1, 0] == pytest.approx(expected_w, rel=1e-6)


def uploads_s(engine, *, seed, combining="mmse", **radio):
    """Times of 40 uploads of 0.5 MB at once in 21 cells."""
    world = WorldConfig(
        environment="uma",
        layout=HexagonalLayout(num_sites=7, isd_m=500.0),
        carrier_hz=3.5e9,
        mobility=StaticMobility(),
    )
    settings = plain_radio(engine=engine, site_combining=combining, **radio)
    env, network = make_network(world, settings, num_clients=40, seed=seed)
    rows = run_all(env, [network.send(k, "uplink", 500_000) for k in range(40)])
    return np.array([row.finished_at_s for row in rows])


@pytest.mark.parametrize(
    ("num_antennas", "scheduler", "fading"),
    [(4, "round_robin", NoFading()), (4, "proportional_fair", RayleighFading())],
)
def test_engines_agree(num_antennas, scheduler, fading):
    """Mean time within 3 %, 95th percentile within 7 %, and a fifth less than with MRC."""
    settings = {"site_rx_antennas": num_antennas, "scheduler": scheduler, "fading": fading}
    flow_s, slot_s = (
        np.concatenate([uploads_s(engine, seed=seed, **settings) for seed in (1, 2)])
        for engine in ENGINES
    )
    assert slot_s.mean() == pytest.approx(flow_s.mean(), rel=0.03)
    assert np.percentile(slot_s, 95) == pytest.approx(np.percentile(flow_s, 95), rel=0.07)
    ratio_s = uploads_s("flow", seed=1, combining="mrc", **settings)
    assert flow_s[:40].mean() < 0.8 * ratio_s.mean()
