"""Shares chosen at the interference of the last solve: how far from solving until it settles."""

import numpy as np
import pytest
import simpy

from netsim.config import RadioConfig, WorldConfig
from netsim.config.radio import RayleighFading
from netsim.config.world import HexagonalLayout, RandomWaypointMobility
from netsim.engines.flow import FlowEngine
from netsim.network import CellularNetwork

NUM_STEPS = 4


def solve_often(self, solve, rows, now_s):
    averages_bps = self.active.records["average_rate_bps"]
    before_bps = averages_bps[rows]
    for _ in range(NUM_STEPS):
        averages_bps[rows] = before_bps
        solve(rows, now_s)


def mean_time_s(direction, seed):
    env = simpy.Environment()
    world = WorldConfig(
        environment="uma",
        layout=HexagonalLayout(num_sites=19, isd_m=500.0, wraparound=True),
        carrier_hz=3.5e9,
        mobility=RandomWaypointMobility(),
    )
    radio = RadioConfig(
        bandwidth_hz=20e6,
        subcarrier_spacing_hz=30e3,
        fading=RayleighFading(),
        scheduler="proportional_fair",
        access=None,
    )
    network = CellularNetwork(env, world, radio, num_clients=300, seed=seed)
    transfers = [network.send(k, direction, 1_000_000) for k in range(300)]
    env.run(until=simpy.AllOf(env, [transfer.event for transfer in transfers]))
    return np.mean([transfer.event.value.finished_at_s for transfer in transfers])


@pytest.mark.slow
@pytest.mark.parametrize(("direction", "seeds"), [("uplink", (1, 2, 3, 4)), ("downlink", (1,))])
def test_one_step_is_within_one_percent_of_many(monkeypatch, direction, seeds):
    once_s = np.mean([mean_time_s(direction, seed) for seed in seeds])
    monkeypatch.setattr(FlowEngine, "_solve_twice_if_new", solve_often)
    often_s = np.mean([mean_time_s(direction, seed) for seed in seeds])
    assert once_s != often_s
    assert once_s == pytest.approx(often_s, rel=0.01)
