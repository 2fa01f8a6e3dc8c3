"""Speed and memory of the wireless world: ``python -m benchmarks.radio [--json]``.

Three tables, each measured in processes of its own:

* one cell: 20 clients x 5 MB uplink in one 20 MHz cell, simulated seconds per processor second of
  both engines, with walking clients; of the flow engine also with static clients, and with the
  costs of access.
  References: the slot engine in the same run, and a C++ LTE simulator's published-style figure for
  the same load, measured elsewhere and only quoted (ns-3 3.37 on 2 cores: 0.58).
* many cells: 57 cells, 10,000 clients, 1000 of them uploading 1 MB at once, round robin and the
  default scheduler (proportional fair); host milliseconds per solve against the number of active
  transfers;
* a million clients: a round of 500 downloads and uploads among 1,000,000 against 10,000 clients.
"""

import argparse
import json
import subprocess
import sys
import textwrap
from typing import Any

NS3_SIMULATED_S_PER_HOST_S = 0.58
"""ns-3 3.37, LTE module, 20 UEs x 5 MB uplink in one 20 MHz cell, 2 cores: quoted, not run here."""

_PRELUDE = """
    import json, resource, time
    import simpy
    from netsim.config import RadioConfig, WorldConfig
    from netsim.config.radio import RayleighFading
    from netsim.config.world import (
        HexagonalLayout, RandomWaypointMobility, SingleCellLayout, StaticMobility,
    )
    from netsim.network import CellularNetwork

    def peak_bytes():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def make(
        layout, *, num_clients, engine="flow", spacing_hz=30e3, scheduler="round_robin",
        mobility=RandomWaypointMobility(), has_access=False,
    ):
        env = simpy.Environment()
        world = WorldConfig(
            environment="uma", layout=layout, carrier_hz=3.5e9, mobility=mobility
        )
        radio = RadioConfig(
            bandwidth_hz=20e6, subcarrier_spacing_hz=spacing_hz, fading=RayleighFading(),
            scheduler=scheduler, engine=engine, **({} if has_access else {"access": None}),
        )
        return env, CellularNetwork(env, world, radio, num_clients=num_clients, seed=1)

    def finish(env, transfers):
        env.run(until=simpy.AllOf(env, [transfer.event for transfer in transfers]))
        return sum(transfer.event.value.status == "delivered" for transfer in transfers)
"""
_ONE_CELL = """
    best_s = float("inf")
    for _ in range(REPEATS):  # the least disturbed of a few runs
        env, network = make(
            SingleCellLayout(), num_clients=20, engine="ENGINE", spacing_hz=15e3,
            mobility=MOBILITY(), has_access=HAS_ACCESS,
        )
        started_s = time.process_time()
        delivered = finish(env, [network.send(k, "uplink", 5_000_000) for k in range(20)])
        best_s = min(best_s, time.process_time() - started_s)
    print(json.dumps({"simulated_s": env.now, "host_s": best_s, "delivered": delivered}))
"""
_MANY_CELLS = """
    layout = HexagonalLayout(num_sites=19, isd_m=500.0, wraparound=True)
    started_s = time.perf_counter()
    env, network = make(layout, num_clients=10_000, scheduler="SCHEDULER")
    delivered = finish(env, [network.send(k, "uplink", 1_000_000) for k in range(1000)])
    host_s = time.perf_counter() - started_s
    print(json.dumps({
        "simulated_s": env.now, "host_s": host_s, "delivered": delivered,
        "solves": network.num_solves, "peak_bytes": peak_bytes(),
    }))
"""
_COST = """
    layout = HexagonalLayout(num_sites=19, isd_m=500.0, wraparound=True)
    env, network = make(layout, num_clients=10_000)
    for k in range(ACTIVE):
        network.send(k, "uplink", 1_000_000_000)
    env.run(until=0.5)
    before, started_s = network.num_solves, time.perf_counter()
    env.run(until=3.0)
    host_s = time.perf_counter() - started_s
    print(json.dumps({"host_ms_per_solve": 1e3 * host_s / (network.num_solves - before)}))
"""
_MILLION = """
    layout = HexagonalLayout(num_sites=19, isd_m=500.0, wraparound=True)
    started_s = time.perf_counter()
    env, network = make(layout, num_clients=CLIENTS)
    chosen = [k * (CLIENTS // 500) for k in range(500)]
    delivered = finish(env, [network.send(k, "downlink", 1_000_000) for k in chosen])
    delivered += finish(env, [network.send(k, "uplink", 1_000_000) for k in chosen])
    host_s = time.perf_counter() - started_s
    print(json.dumps({
        "simulated_s": env.now, "host_s": host_s, "delivered": delivered,
        "peak_bytes": peak_bytes(),
    }))
"""


def measure() -> dict[str, Any]:
    """Run all measurements; seconds and bytes carry their units in the keys."""
    return {**_one_cell(), **_many_cells(), **_million()}


def _one_cell() -> dict[str, Any]:
    speed = {}
    for name, engine, mobility, has_access, repeats in (
        ("flow", "flow", "RandomWaypointMobility", False, 10),
        ("flow_static", "flow", "StaticMobility", False, 10),
        ("flow_access", "flow", "RandomWaypointMobility", True, 10),
        ("flow_access_static", "flow", "StaticMobility", True, 10),
        ("slot", "slot", "RandomWaypointMobility", False, 1),
    ):
        code = _ONE_CELL.replace("ENGINE", engine).replace("REPEATS", str(repeats))
        code = code.replace("MOBILITY", mobility).replace("HAS_ACCESS", str(has_access))
        result = _python(code)
        speed[name] = result["simulated_s"] / result["host_s"]
    of_flow = {
        f"one_cell_{name}_simulated_s_per_host_s": round(value, 1)
        for name, value in speed.items()
        if name != "slot"
    }
    return {
        **of_flow,
        "one_cell_slot_simulated_s_per_host_s": round(speed["slot"], 2),
        "one_cell_flow_per_slot": round(speed["flow"] / speed["slot"], 1),
        "one_cell_ns3_quoted_simulated_s_per_host_s": NS3_SIMULATED_S_PER_HOST_S,
        "one_cell_flow_per_ns3_quoted": round(speed["flow"] / NS3_SIMULATED_S_PER_HOST_S, 1),
        "one_cell_slot_per_ns3_quoted": round(speed["slot"] / NS3_SIMULATED_S_PER_HOST_S, 1),
    }


def _many_cells() -> dict[str, Any]:
    full = _thousand_uploads("round_robin")
    block = _thousand_uploads("proportional_fair")

    cost = {
        active: _python(_COST.replace("ACTIVE", str(active)))["host_ms_per_solve"]
        for active in (10, 100, 1000)
    }
    return {
        "many_cells_active": 1000,
        "many_cells_delivered": full["delivered"],
        "many_cells_simulated_s": round(full["simulated_s"], 2),
        "many_cells_host_s": round(full["host_s"], 2),
        "many_cells_peak_bytes": full["peak_bytes"],
        "many_cells_solves": full["solves"],
        **_described("many_cells_pf", block),
        **{f"solve_host_ms_{active}_active": round(ms, 3) for active, ms in cost.items()},
        "solve_cost_growth_100_to_1000": round(cost[1000] / cost[100], 2),
    }


def _thousand_uploads(scheduler: str) -> dict[str, Any]:
    return _python(_MANY_CELLS.replace("SCHEDULER", scheduler))


def _described(name: str, result: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{name}_delivered": result["delivered"],
        f"{name}_simulated_s": round(result["simulated_s"], 2),
        f"{name}_host_s": round(result["host_s"], 2),
        f"{name}_host_ms_per_solve": round(1e3 * result["host_s"] / result["solves"], 2),
    }


def _million() -> dict[str, Any]:
    few = _python(_MILLION.replace("CLIENTS", "10000"))
    many = _python(_MILLION.replace("CLIENTS", "1000000"))
    return {
        "million_clients_delivered": many["delivered"],
        "million_clients_simulated_s": round(many["simulated_s"], 2),
        "million_clients_host_s": round(many["host_s"], 2),
        "million_clients_peak_bytes": many["peak_bytes"],
        "million_per_ten_thousand_clients_host": round(many["host_s"] / few["host_s"], 2),
        "million_per_ten_thousand_clients_memory": round(many["peak_bytes"] / few["peak_bytes"], 2),
    }


def _python(code: str) -> dict[str, Any]:
    """Run a measurement in a fresh interpreter; its last line is a JSON object."""
    program = textwrap.dedent(_PRELUDE) + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        msg = f"measurement failed:\n{done.stderr}"
        raise RuntimeError(msg)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the tables, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    arguments = parser.parse_args()
    results = measure()
    if arguments.json:
        print(json.dumps(results))
        return
    width = max(map(len, results))
    for name, value in results.items():
        print(f"{name:<{width}}  {value}")


if __name__ == "__main__":
    main()
