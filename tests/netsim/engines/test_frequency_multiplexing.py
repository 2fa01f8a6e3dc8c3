"""Uplinks multiplexed in frequency: both engines against a reference slot by slot."""

from math import cos, pi, sin

import numpy as np
import pytest

from netsim.config.radio import NoFading, RayleighFading, TdlFading
from netsim.config.world import HexagonalLayout
from tests.netsim.theory.frequency_multiplexing import Cell
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world

NUM, SIZE_BYTES = 8, 300_000
METRICS = {
    "proportional_fair": lambda rate, average: rate / average,
    "max_ci": lambda rate, _: rate,
}


def cell_at_250_m(*, seed, **radio):
    """Eight clients on the boresight of a sector, 250 m away without line of sight."""
    place = (250.0 * cos(pi / 6), 250.0 * sin(pi / 6))
    world = still_world(
        [place] * NUM, line_of_sight="never", layout=HexagonalLayout(num_sites=1, isd_m=500.0)
    )
    return make_network(world, plain_radio(**radio), seed=seed)


def reference_s(scheduler, *, seed, fading, num_slots=1200):
    """Mean finish time of the reference, with the fades and the table of rates of the network."""
    _, network = cell_at_250_m(seed=seed, fading=fading)
    air, channel, ids = network.air, network._channel, np.arange(NUM)
    gain = np.asarray(channel.gain(ids, at_s=0.0))
    cell = Cell(
        sinr_per_w=gain.max(axis=1) / air.site_noise_w,
        density_w=air.uplink_power.density_w(gain.max(axis=1)),
        most_w=10 ** (23.0 / 10) / 1000,
        num_blocks=air.num_blocks,
        slot_s=0.5e-3,
        block_bps=lambda sinr: air.uplink_adaptation.efficiency(sinr) * air.uplink_element_rate_hz,
        flat_sinr=air.effective_sinr,
        rate_bps=lambda sinr, blocks, fade: air.outcome(sinr, blocks, fade=fade, is_uplink=True)[0],
    )
    fades = channel.fading_over(ids, gain.argmax(axis=1), at_s=0.5e-3 * np.arange(num_slots)).uplink
    return cell.finish_s(8.0 * SIZE_BYTES, METRICS[scheduler], fades).mean()


def engine_s(scheduler, engine, *, seed, fading):
    """Mean finish time of an engine."""
    env, network = cell_at_250_m(seed=seed, fading=fading, engine=engine, scheduler=scheduler)
    rows = run_all(env, [network.send(k, "uplink", SIZE_BYTES) for k in range(NUM)])
    assert {row.status for row in rows} == {"delivered"}
    return np.mean([row.finished_at_s for row in rows])


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_proportional_fair_is_that_of_the_reference(engine):
    """Rayleigh fading, where the whole band for one at a time takes 0.55 s instead of 0.32."""
    fading, seeds = RayleighFading(), (1, 2)
    expected_s = np.mean([reference_s("proportional_fair", seed=k, fading=fading) for k in seeds])
    found_s = np.mean([engine_s("proportional_fair", engine, seed=k, fading=fading) for k in seeds])
    assert expected_s == pytest.approx(0.322, abs=0.004)
    assert found_s == pytest.approx(expected_s, rel=0.03)
    assert found_s < 0.9 * np.mean(
        [engine_s("round_robin", "flow", seed=k, fading=fading) for k in seeds]
    )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["flow", "slot"])
@pytest.mark.parametrize("scheduler", ["proportional_fair", "max_ci"])
@pytest.mark.parametrize("fading", [NoFading(), TdlFading()], ids=["none", "tdl"])
def test_other_fading_and_max_ci_too(scheduler, fading, engine):
    expected_s = np.mean([reference_s(scheduler, seed=k, fading=fading) for k in (1, 2)])
    found_s = np.mean([engine_s(scheduler, engine, seed=k, fading=fading) for k in (1, 2)])
    assert found_s == pytest.approx(expected_s, rel=0.03)


@pytest.mark.parametrize("scheduler", ["earliest_deadline", "min_energy"])
def test_a_far_client_that_is_first_does_not_keep_the_others_waiting(scheduler):
    """It uses a few blocks of the band and is as fast as alone; seven near ones use the rest."""
    places, size = [(900.0, 0.0), *[(60.0, 10.0 * k) for k in range(7)]], 20_000
    times_s = {}
    for name in (scheduler, "alone", "without"):
        env, network = make_network(
            still_world(places, line_of_sight="never"),
            plain_radio(scheduler=scheduler),
        )
        clients = {"alone": [0], "without": range(1, 8)}.get(name, range(8))
        sizes = {0: size} if scheduler == "earliest_deadline" else {0: 100}
        sent = []
        for client in clients:
            sent.append(network.send(client, "uplink", sizes.get(client, 300_000)))
            env.run(until=env.now + 1e-4)
        rows = run_all(env, sent)
        times_s[name] = np.array([row.finished_at_s for row in rows])
    together = times_s[scheduler]
    assert together[0] == pytest.approx(times_s["alone"][0], rel=0.01)
    assert together[1:].max() < 1.3 * times_s["without"].max()


@pytest.mark.parametrize("scheduler", ["proportional_fair", "max_ci", "earliest_deadline"])
def test_alone_a_client_has_all_that_raises_its_rate(scheduler):
    finish_s = {}
    for name in (scheduler, "round_robin"):
        env, network = make_network(
            still_world([(250.0, 0.0)], line_of_sight="never"), plain_radio(scheduler=name)
        )
        (row,) = run_all(env, [network.send(0, "uplink", SIZE_BYTES)])
        finish_s[name] = row.finished_at_s
    assert finish_s[scheduler] == finish_s["round_robin"]


def test_two_at_their_limit_of_power_divide_the_band_as_under_round_robin():
    """With a headroom of a block each: an equal half of the band, and no more than raises rates.

    Of half of the band a client uses fewer blocks than the half, where the whole band would have
    let it use more than that: proportional fair took 7 % longer when it reckoned from the whole.
    """
    finish_s = {}
    for scheduler in ("round_robin", "proportional_fair"):
        env, network = make_network(
            still_world([(650.0, 0.0), (670.0, 0.0)], line_of_sight="never"),
            plain_radio(scheduler=scheduler, fading=RayleighFading()),
        )
        rows = run_all(env, [network.send(k, "uplink", 100_000) for k in range(2)])
        finish_s[scheduler] = np.mean([row.finished_at_s for row in rows])
    assert finish_s["proportional_fair"] == pytest.approx(finish_s["round_robin"], rel=0.02)
