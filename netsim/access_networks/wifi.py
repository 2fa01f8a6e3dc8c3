"""The kind ``wifi``: access points whose airtime the transfers of their clients share."""

import numpy as np
import simpy

from netsim.access_networks.access import Access, ConnectedTail
from netsim.access_networks.medium import SharedAirtime
from netsim.access_networks.network import RateNetwork
from netsim.access_networks.step_function import constant
from netsim.config.network import WifiNetworkConfig
from netsim.streams import Purpose, each_stream


def build_wifi(
    env: simpy.Environment, config: WifiNetworkConfig, *, num_clients: int, seed: int
) -> RateNetwork:
    """Return a network in which clients share the airtime of their access point.

    Client ``i`` is at access point ``i mod num_access_points``. Its rate class is drawn by the
    shares, and does not change when a client is added.

    Parameters
    ----------
    env
        Simulation clock, shared with the senders.
    config
        A section that breaks no rule.
    num_clients
        Number of clients.
    seed
        Root seed of the run.
    """
    power = config.power
    goodputs = [constant(each.rate_bps * config.efficiency) for each in config.rate_classes]
    of_class = [
        Access(
            rate_bps={"uplink": goodput, "downlink": goodput},
            power_w={"uplink": constant(power.transmit_w), "downlink": constant(power.receive_w)},
            rtt_s=constant(config.rtt_s),
        )
        for goodput in goodputs
    ]
    edges = np.cumsum([each.share for each in config.rate_classes])
    draws = [rng.random() for rng in each_stream(seed, Purpose.ACCESS, np.arange(num_clients))]
    drawn = np.searchsorted(edges, np.array(draws) * edges[-1], side="right")
    accesses = [of_class[index] for index in np.minimum(drawn, len(edges) - 1).tolist()]
    return RateNetwork(
        env,
        accesses=accesses,
        medium=SharedAirtime(
            accesses, num_access_points=config.num_access_points, sharing=config.sharing
        ),
        kind=config.kind,
        tail=ConnectedTail(connected_w=power.connected_w, duration_s=power.tail_s),
        setup_s=config.setup_s,
        transfer_timeout_s=config.transfer_timeout_s,
    )
