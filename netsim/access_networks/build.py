"""From the ``network:`` section to a network: one entry a kind."""

import simpy

from netsim.access_networks.constant import build_constant
from netsim.access_networks.network import RateNetwork
from netsim.access_networks.rules import find_problems
from netsim.access_networks.trace import build_trace
from netsim.access_networks.wifi import build_wifi
from netsim.config.network import RateNetworkConfig, TraceNetworkConfig, WifiNetworkConfig


def build_rate_network(
    env: simpy.Environment, config: RateNetworkConfig, *, num_clients: int, seed: int
) -> RateNetwork:
    """Return the network that a section describes.

    Parameters
    ----------
    env
        Simulation clock, shared with the senders.
    config
        The scenario's section.
    num_clients
        Number of clients, ids 0 to ``num_clients - 1``.
    seed
        Root seed of the run, at least 0.

    Raises
    ------
    ValueError
        If the section breaks a rule; the message lists all of them.
    """
    if num_clients < 1:
        msg = f"num_clients: must be >= 1, got {num_clients}"
        raise ValueError(msg)
    if problems := find_problems(config, num_clients=num_clients):
        raise ValueError("; ".join(f"{'.'.join(p.path)}: {p.message}" for p in problems))
    if isinstance(config, TraceNetworkConfig):
        return build_trace(env, config, num_clients=num_clients, seed=seed)
    if isinstance(config, WifiNetworkConfig):
        return build_wifi(env, config, num_clients=num_clients, seed=seed)
    return build_constant(env, config, num_clients=num_clients)
