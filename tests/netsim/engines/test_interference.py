"""Uplink interference that begins and ends where nothing moves or fades."""

import numpy as np
import pytest

from netsim.config import WorldConfig
from netsim.config.world import HexagonalLayout, StaticMobility
from netsim.engines.interference import MEMORY_S, SETTLED_NEPER
from tests.netsim.worlds import make_network, plain_radio, run_all, two_sites

NUM = 24


def still_cells(engine, *, seed):
    """Times of uploads that start one by one in 21 cells."""
    world = WorldConfig(
        environment="uma",
        layout=HexagonalLayout(num_sites=7, isd_m=500.0),
        carrier_hz=3.5e9,
        mobility=StaticMobility(),
    )
    env, network = make_network(
        world, plain_radio(engine=engine, site_rx_antennas=4), num_clients=NUM, seed=seed
    )
    sent = []

    def arrive():
        for client_id in range(NUM):
            sent.append(network.send(client_id, "uplink", 500_000))
            yield env.timeout(0.3 / NUM)

    env.run(until=env.process(arrive()))
    return np.array([row.finished_at_s - row.requested_at_s for row in run_all(env, sent)])


def test_a_site_goes_on_expecting_interference_that_has_ended():
    """Its MCS stays too low for a while; without it the slot engine takes 10 % longer."""
    times_s = {
        engine: np.concatenate([still_cells(engine, seed=seed) for seed in (1, 2)])
        for engine in ("flow", "slot")
    }
    assert times_s["slot"].mean() == pytest.approx(times_s["flow"].mean(), rel=0.03)
    late_s = {engine: np.percentile(found_s, 95) for engine, found_s in times_s.items()}
    assert late_s["slot"] == pytest.approx(late_s["flow"], rel=0.05)


def test_solves_end_when_what_is_expected_has_settled():
    """After the neighbour's end the other is solved again at ticks, and no longer than needed."""
    env, network = two_sites([(230.0, 0.0), (370.0, 0.0)], bandwidth_hz=20e6)
    sent = [network.send(0, "uplink", 150_000), network.send(1, "uplink", 20_000_000)]
    run_all(env, sent[:1])
    tracker, solved = network._engine._tracker, []
    assert tracker.next_grid_point_s(0.05) == pytest.approx(0.1)
    assert tracker.next_grid_point_s(0.06) == pytest.approx(0.1)
    rates_bps = []
    while len(network._engine.active):
        count = network._engine.num_solves
        env.step()
        if network._engine.num_solves > count:
            solved.append(env.now)
            rates_bps.append(network._engine.active.records["rate_bps"].sum())
    ends_s, rates_bps = np.array(solved[1:-1]), np.array(rates_bps[:-1])
    assert ends_s == pytest.approx(0.05 * np.round(ends_s / 0.05))
    assert np.all(np.diff(rates_bps) >= 0.0)
    assert rates_bps[-1] > 1.02 * rates_bps[0]
    # What is left of a difference of 20 dB counts as none after seven time constants.
    longest_s = MEMORY_S * np.log(2 * np.log(10) / SETTLED_NEPER)
    assert 0.0 < ends_s[-1] - solved[0] < longest_s + 0.05
