"""Rules across the settings of a network of given rates; all broken ones are reported at once."""

from collections.abc import Iterator

from netsim.access_networks.trace import find_trace_faults
from netsim.config.network import (
    ConstantNetworkConfig,
    ModemPowerConfig,
    RateNetworkConfig,
    TraceNetworkConfig,
    WifiNetworkConfig,
)
from netsim.problems import Problem

_SECTION = "network"


def find_problems(config: RateNetworkConfig, *, num_clients: int) -> list[Problem]:
    """Find settings that contradict each other or have no effect.

    Parameters
    ----------
    config
        The section as it stands in the scenario.
    num_clients
        Clients of the scenario.
    """
    found = list(_power(config.power))
    if isinstance(config, TraceNetworkConfig):
        found += [
            Problem((_SECTION, *key.split(".")), fault)
            for key, fault in find_trace_faults(config, num_clients=num_clients)
        ]
    elif isinstance(config, WifiNetworkConfig):
        found += _wifi(config, num_clients=num_clients)
    else:
        found += _constant(config, num_clients=num_clients)
    return found


def _power(power: ModemPowerConfig) -> Iterator[Problem]:
    for name in ("transmit_w", "receive_w"):
        if getattr(power, name) < power.connected_w:
            rule = f"must be >= connected_w = {power.connected_w:g}, got {getattr(power, name):g}"
            yield Problem((_SECTION, "power", name), rule)


def _constant(config: ConstantNetworkConfig, *, num_clients: int) -> Iterator[Problem]:
    for direction in ("uplink", "downlink"):
        own_bps = getattr(config, f"{direction}_rate_bps")
        total_bps = getattr(config, f"total_{direction}_rate_bps")
        if total_bps is not None and total_bps >= num_clients * own_bps:
            rule = (
                f"has no effect: {num_clients} clients of {own_bps:g} bit/s never need more than "
                f"{num_clients * own_bps:g}, got {total_bps:g}"
            )
            yield Problem((_SECTION, f"total_{direction}_rate_bps"), rule)


def _wifi(config: WifiNetworkConfig, *, num_clients: int) -> Iterator[Problem]:
    total = sum(each.share for each in config.rate_classes)
    if abs(total - 1.0) > 1e-6:
        rule = f"shares must sum to 1, got {total:g}"
        yield Problem((_SECTION, "rate_classes"), rule)
    if config.num_access_points > num_clients:
        rule = f"must be <= clients.num_clients = {num_clients}, got {config.num_access_points}"
        yield Problem((_SECTION, "num_access_points"), rule)
