"""The kind ``trace``: rates of each client over time, from a file of logs."""

from collections.abc import Mapping
from pathlib import Path

import simpy

from netsim.access_networks.access import Access, ConnectedTail
from netsim.access_networks.medium import OwnLinks
from netsim.access_networks.network import RateNetwork
from netsim.access_networks.step_function import StepFunction, constant
from netsim.access_networks.trace_file import Log, find_gap, read_logs
from netsim.config.network import ModemPowerConfig, TraceNetworkConfig
from netsim.streams import Purpose, stream

_BPS_PER_MBPS = 1e6


def find_trace_faults(config: TraceNetworkConfig, *, num_clients: int) -> list[tuple[str, str]]:
    """Return what is wrong with a trace and what it makes useless: the setting and one line.

    Parameters
    ----------
    config
        The section as it stands in the scenario.
    num_clients
        Clients of the scenario.
    """
    if not Path(config.path).is_file():
        rule = "there is no such file (airtune traces convert makes one of measured logs)"
        return [("path", f"trace {config.path}: {rule}")]
    try:
        logs = read_logs(config.path)
    except ValueError as error:
        return [("path", str(error))]
    faults = []
    if (gap := find_gap(logs, max_gap_s=config.max_gap_s)) is not None:
        faults.append(("path", f"trace {config.path}: {gap}"))
    if config.assignment == "by_id" and (fault := _other_clients(logs, num_clients)) is not None:
        faults.append(("path", f"trace {config.path}: {fault}"))
    given = {
        "rtt_s": config.rtt_s != TraceNetworkConfig.rtt_s,
        "transmit_w": config.power.transmit_w != ModemPowerConfig.transmit_w,
        "receive_w": config.power.receive_w != ModemPowerConfig.receive_w,
    }
    columns = next(iter(logs.values())).columns
    for name, is_given in given.items():
        if is_given and name in columns:
            key = name if name == "rtt_s" else f"power.{name}"
            faults.append((key, f"has no effect: the trace has a column {name}"))
    return faults


def _other_clients(logs: Mapping[str, Log], num_clients: int) -> str | None:
    """Compare the clients of a trace with ids 0 to ``num_clients - 1``."""
    wanted = [str(client_id) for client_id in range(num_clients)]
    missing = [name for name in wanted if name not in logs]
    unknown = [name for name in logs if name not in set(wanted)]
    hint = "; assignment: drawn takes logs of any name"
    if missing:
        return f"has no rows of client {missing[0]} ({len(missing)} of {num_clients} lack){hint}"
    if unknown:
        return (
            f"client {unknown[0][:60]} is none of clients.num_clients = {num_clients}, ids 0 to "
            f"{num_clients - 1} ({len(unknown)} such){hint}"
        )
    return None


def build_trace(
    env: simpy.Environment, config: TraceNetworkConfig, *, num_clients: int, seed: int
) -> RateNetwork:
    """Return a network in which each client has the rates of a log, alone.

    Parameters
    ----------
    env
        Simulation clock, shared with the senders.
    config
        A section without faults, see :func:`find_trace_faults`.
    num_clients
        Number of clients.
    seed
        Root seed of the run: it draws logs and starts where ``assignment`` says so.
    """
    logs = read_logs(config.path)
    names = list(logs)
    repeats = config.after_end == "repeat"
    accesses = []
    for client_id in range(num_clients):
        log, offset_s = logs.get(str(client_id)), 0.0
        if config.assignment == "drawn" or log is None:
            rng = stream(seed, Purpose.ACCESS, client_id)
            log = logs[names[int(rng.integers(len(names)))]]
            offset_s = float(rng.uniform(0.0, log.duration_s)) if repeats else 0.0
        accesses.append(_access(log, config, repeats=repeats, offset_s=offset_s))
    power = config.power
    return RateNetwork(
        env,
        accesses=accesses,
        medium=OwnLinks(accesses),
        kind=config.kind,
        tail=ConnectedTail(connected_w=power.connected_w, duration_s=power.tail_s),
        setup_s=config.setup_s,
        transfer_timeout_s=config.transfer_timeout_s,
    )


def _access(log: Log, config: TraceNetworkConfig, *, repeats: bool, offset_s: float) -> Access:
    """Return the access of a client with this log; what the log lacks, the settings give."""

    def of(column: str, *, scale: float = 1.0, otherwise: float = 0.0) -> StepFunction:
        if column not in log.columns:
            return constant(otherwise)
        return log.function(column, scale=scale, repeats=repeats, offset_s=offset_s)

    power = config.power
    return Access(
        rate_bps={
            "uplink": of("uplink_mbps", scale=_BPS_PER_MBPS),
            "downlink": of("downlink_mbps", scale=_BPS_PER_MBPS),
        },
        power_w={
            "uplink": of("transmit_w", otherwise=power.transmit_w),
            "downlink": of("receive_w", otherwise=power.receive_w),
        },
        rtt_s=of("rtt_s", otherwise=config.rtt_s),
    )
