"""The kind ``constant``: rates that never change, with or without a total."""

import simpy

from netsim.access_networks.access import Access, ConnectedTail
from netsim.access_networks.medium import TotalRate
from netsim.access_networks.network import RateNetwork
from netsim.access_networks.step_function import constant
from netsim.config.network import ConstantNetworkConfig
from netsim.transport.transfers import Direction


def build_constant(
    env: simpy.Environment, config: ConstantNetworkConfig, *, num_clients: int
) -> RateNetwork:
    """Return a network in which every client has the same two rates at all times.

    Examples
    --------
    >>> env = simpy.Environment()
    >>> config = ConstantNetworkConfig(uplink_rate_bps=8e6, downlink_rate_bps=8e6, rtt_s=0.1)
    >>> network = build_constant(env, config, num_clients=2)
    >>> row = env.run(until=network.send(0, "uplink", 1_000_000).event)
    >>> round(row.finished_at_s, 9)
    1.05
    """
    power = config.power
    access = Access(
        rate_bps={
            "uplink": constant(config.uplink_rate_bps),
            "downlink": constant(config.downlink_rate_bps),
        },
        power_w={"uplink": constant(power.transmit_w), "downlink": constant(power.receive_w)},
        rtt_s=constant(config.rtt_s),
    )
    totals: dict[Direction, float | None] = {
        "uplink": config.total_uplink_rate_bps,
        "downlink": config.total_downlink_rate_bps,
    }
    accesses = [access] * num_clients
    return RateNetwork(
        env,
        accesses=accesses,
        medium=TotalRate(
            accesses,
            {direction: total for direction, total in totals.items() if total is not None},
        ),
        kind=config.kind,
        tail=ConnectedTail(connected_w=power.connected_w, duration_s=power.tail_s),
        setup_s=config.setup_s,
        transfer_timeout_s=config.transfer_timeout_s,
    )
