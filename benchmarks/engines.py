"""How far flow and slot engine agree: ``python -m benchmarks.engines [--quick] [--json]``.

Mean times of the same uploads in the same worlds, slot over flow (mean of the seeds' ratios and its
standard error), and host seconds, set-up included,
of one over the other. Some 15 minutes on one core; ``--quick`` leaves out the large worlds,
``--json`` prints for scripts.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass

import numpy as np
import simpy

from netsim.config import RadioConfig, WorldConfig
from netsim.config.radio import Fading, RayleighFading, TdlFading
from netsim.config.world import (
    HexagonalLayout,
    Layout,
    RandomWaypointMobility,
    SingleCellLayout,
)
from netsim.network import CellularNetwork


@dataclass(frozen=True, kw_only=True)
class Case:
    """Uploads that start one by one."""

    name: str
    layout: Layout
    num_clients: int
    size_bytes: int
    spread_s: float = 0.0
    """Time from the first start to the last [s]."""
    seeds: range
    is_large: bool = False
    fadings: tuple[Fading, ...] = (RayleighFading(), TdlFading())
    schedulers: tuple[str, ...] = ("round_robin", "proportional_fair")


SCHEDULERS = ("round_robin", "proportional_fair", "max_ci", "min_energy", "earliest_deadline")
CASES = (
    Case(
        name="1 cell, 6 x 1 MB",
        layout=SingleCellLayout(),
        num_clients=6,
        size_bytes=1_000_000,
        seeds=range(1, 6),
        schedulers=SCHEDULERS,
    ),
    Case(
        name="1 cell, 20 x 0.3 MB",
        layout=SingleCellLayout(),
        num_clients=20,
        size_bytes=300_000,
        seeds=range(1, 6),
    ),
    Case(
        name="21 cells, 30 x 2 MB in 0.4 s",
        layout=HexagonalLayout(num_sites=7, isd_m=500.0),
        num_clients=30,
        size_bytes=2_000_000,
        spread_s=0.4,
        seeds=range(1, 6),
    ),
    Case(
        name="21 cells, 200 x 0.3 MB",
        layout=HexagonalLayout(num_sites=7, isd_m=500.0),
        num_clients=200,
        size_bytes=300_000,
        seeds=range(1, 4),
        is_large=True,
        fadings=(RayleighFading(),),
        schedulers=SCHEDULERS,
    ),
    Case(
        name="21 cells, 200 x 1.5 MB",
        layout=HexagonalLayout(num_sites=7, isd_m=500.0),
        num_clients=200,
        size_bytes=1_500_000,
        seeds=range(1, 3),
        is_large=True,
        fadings=(RayleighFading(),),
    ),
    Case(
        name="57 cells, 1000 x 1 MB",
        layout=HexagonalLayout(num_sites=19, isd_m=500.0),
        num_clients=1000,
        size_bytes=1_000_000,
        seeds=range(1, 2),
        is_large=True,
        fadings=(RayleighFading(),),
        schedulers=SCHEDULERS,
    ),
)


def mean_time_s(case: Case, fading: Fading, scheduler: str, engine: str, seed: int) -> float:
    """Return the mean time [s] of the uploads of a case."""
    env = simpy.Environment()
    world = WorldConfig(
        environment="uma",
        layout=case.layout,
        carrier_hz=3.5e9,
        mobility=RandomWaypointMobility(),
    )
    radio = RadioConfig(
        bandwidth_hz=20e6,
        subcarrier_spacing_hz=30e3,
        fading=fading,
        scheduler=scheduler,
        access=None,
        engine=engine,  # type: ignore[arg-type]
    )
    network = CellularNetwork(env, world, radio, num_clients=case.num_clients, seed=seed)
    transfers = []

    def arrive() -> simpy.events.ProcessGenerator:
        for client_id in range(case.num_clients):
            transfers.append(network.send(client_id, "uplink", case.size_bytes))
            if case.spread_s:
                yield env.timeout(case.spread_s / case.num_clients)
        yield env.timeout(0.0)

    env.run(until=env.process(arrive()))
    env.run(until=simpy.AllOf(env, [transfer.event for transfer in transfers]))
    rows = [transfer.event.value for transfer in transfers]
    taken_s = [row.finished_at_s - row.requested_at_s for row in rows if row is not None]
    if len(taken_s) < case.num_clients:
        msg = f"{case.name}: {case.num_clients - len(taken_s)} uploads have not ended"
        raise RuntimeError(msg)
    return float(np.mean(taken_s))


def compare(case: Case, fading: Fading, scheduler: str) -> dict[str, object]:
    """Return mean times of both engines, and the seconds of this machine that they took."""
    times, host_s = {}, {}
    for engine in ("flow", "slot"):
        started_s = time.process_time()
        times[engine] = np.array(
            [mean_time_s(case, fading, scheduler, engine, seed) for seed in case.seeds]
        )
        host_s[engine] = time.process_time() - started_s
    gaps = 100 * (times["slot"] / times["flow"] - 1)
    error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else float("nan")
    return {
        "case": case.name,
        "fading": fading.kind,
        "scheduler": scheduler,
        "seeds": len(case.seeds),
        "flow_s": round(times["flow"].mean(), 4),
        "slot_s": round(times["slot"].mean(), 4),
        "slot_over_flow_percent": round(float(gaps.mean()), 2),
        "standard_error_percent": round(float(error), 2) if len(gaps) > 1 else None,
        "slot_over_flow_host": round(host_s["slot"] / host_s["flow"], 1),
    }


def main(argv: list[str] | None = None) -> int:
    """Print a row a case, fading and scheduler."""
    parser = argparse.ArgumentParser(prog="benchmarks.engines", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="leave out the large worlds")
    options = parser.parse_args(argv)
    found = []
    if not options.json:
        print("| uploads | fading | scheduler | seeds | flow | slot | slot over flow | host |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        if case.is_large and options.quick:
            continue
        for fading in case.fadings:
            for scheduler in case.schedulers:
                row = compare(case, fading, scheduler)
                found.append(row)
                if not options.json:
                    print(
                        f"| {row['case']} | {row['fading']} | {row['scheduler']} | {row['seeds']} "
                        f"| {row['flow_s']} s | {row['slot_s']} s "
                        f"| {row['slot_over_flow_percent']:+.1f} % "
                        f"({row['standard_error_percent'] or '-'}) "
                        f"| x {row['slot_over_flow_host']} |",
                        flush=True,
                    )
    if options.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
