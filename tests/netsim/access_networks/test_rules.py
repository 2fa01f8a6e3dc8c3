import pytest
import simpy

from netsim.access_networks.build import build_rate_network
from netsim.access_networks.rules import find_problems
from netsim.config.network import ConstantNetworkConfig, ModemPowerConfig

RATES = {"uplink_rate_bps": 1e6, "downlink_rate_bps": 2e6}


@pytest.mark.parametrize(
    ("settings", "path", "fault"),
    [
        ({"total_uplink_rate_bps": 3e6}, "network.total_uplink_rate_bps", "has no effect"),
        ({"total_downlink_rate_bps": 7e6}, "network.total_downlink_rate_bps", "6e\\+06, got 7e"),
        (
            {"power": ModemPowerConfig(receive_w=0.1)},
            "network.power.receive_w",
            "must be >= connected_w = 0.59, got 0.1",
        ),
    ],
)
def test_a_setting_that_means_nothing_is_a_problem(settings, path, fault):
    config = ConstantNetworkConfig(**RATES, **settings)
    (problem,) = find_problems(config, num_clients=3)
    assert ".".join(problem.path) == path
    with pytest.raises(ValueError, match=f"{path}: .*{fault}"):
        build_rate_network(simpy.Environment(), config, num_clients=3, seed=1)


def test_a_total_that_limits_is_none():
    config = ConstantNetworkConfig(**RATES, total_uplink_rate_bps=2.9e6)
    assert find_problems(config, num_clients=3) == []


def test_a_network_of_nobody_is_refused():
    with pytest.raises(ValueError, match="num_clients"):
        build_rate_network(
            simpy.Environment(), ConstantNetworkConfig(**RATES), num_clients=0, seed=1
        )
