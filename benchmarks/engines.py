"""How far flow and slot engine agree: ``python -m benchmarks.engines [--quick] [--only TEXT]``.

Mean times of the same transfers in the same worlds, slot over flow (mean of the seeds' ratios and
its standard error), the same of the 95th percentile of all seeds' times, and host seconds, set-up
included, of one over the other. Some 40 minutes on one core; ``--quick`` leaves out the large
worlds, ``--only`` takes cases whose names contain a text, ``--json`` prints for scripts.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import simpy
from jaxtyping import Float

from netsim.config import RadioConfig, WorldConfig
from netsim.config.environment import EnvironmentName
from netsim.config.radio import Fading, NoFading, RayleighFading, TddDuplex, TdlFading
from netsim.config.world import (
    HexagonalLayout,
    IndoorOfficeLayout,
    Layout,
    Mobility,
    RandomDirectionMobility,
    RandomWaypointMobility,
    SingleCellLayout,
    StaticMobility,
)
from netsim.network import CellularNetwork


@dataclass(frozen=True, kw_only=True)
class Case:
    """Transfers that start one by one, of all clients."""

    name: str
    layout: Layout
    environment: EnvironmentName = "uma"
    mobility: Mobility = field(default_factory=RandomWaypointMobility)
    num_clients: int
    size_bytes: int
    direction: Literal["uplink", "downlink", "mixed", "broadcast"] = "uplink"
    """``mixed``: every second client receives."""
    spread_s: float = 0.0
    """Time from the first start to the last [s]."""
    radio: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """More settings of the radio section."""
    seeds: range
    is_large: bool = False
    fadings: tuple[Fading, ...] = (RayleighFading(), TdlFading())
    schedulers: tuple[str, ...] = ("round_robin", "proportional_fair")


def _at_speed(kmh: float) -> RandomDirectionMobility:
    return RandomDirectionMobility(speed_mps=kmh / 3.6)


DRIVING = Case(
    name="1 cell, 6 x 1 MB, 50 km/h",
    layout=SingleCellLayout(),
    mobility=_at_speed(50),
    num_clients=6,
    size_bytes=1_000_000,
    seeds=range(1, 6),
)
STILL_CELLS = Case(
    name="21 cells, 40 x 0.5 MB, still",
    layout=HexagonalLayout(num_sites=7, isd_m=500.0),
    mobility=StaticMobility(),
    num_clients=40,
    size_bytes=500_000,
    seeds=range(1, 4),
    fadings=(NoFading(),),
)
ROUND_ROBIN = ("round_robin",)
TDD = {"duplex": TddDuplex()}
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
    replace(DRIVING, name="1 cell, 6 x 1 MB, 3 km/h", mobility=_at_speed(3)),
    replace(DRIVING, name="1 cell, 6 x 1 MB, 30 km/h", mobility=_at_speed(30)),
    DRIVING,
    replace(DRIVING, name="1 cell, 6 x 1 MB, 120 km/h", mobility=_at_speed(120)),
    replace(
        DRIVING,
        name="1 cell, 6 x 20 kB, 50 km/h",
        size_bytes=20_000,
        seeds=range(1, 61),
        schedulers=ROUND_ROBIN,
    ),
    replace(
        DRIVING,
        name="1 cell, 6 x 20 kB, 3 km/h",
        mobility=_at_speed(3),
        size_bytes=20_000,
        seeds=range(1, 61),
        schedulers=ROUND_ROBIN,
    ),
    replace(
        DRIVING,
        name="1 cell, 6 x 20 kB, TDD, 120 km/h",
        mobility=_at_speed(120),
        size_bytes=20_000,
        radio=TDD,
        seeds=range(1, 61),
        schedulers=ROUND_ROBIN,
    ),
    replace(
        DRIVING,
        name="1 cell, 6 x 20 kB down, 50 km/h",
        size_bytes=20_000,
        direction="downlink",
        seeds=range(1, 61),
        schedulers=ROUND_ROBIN,
    ),
    replace(
        DRIVING, name="1 cell, 6 x 0.3 MB, 50 km/h", size_bytes=300_000, schedulers=ROUND_ROBIN
    ),
    replace(
        DRIVING,
        name="1 cell, 6 x 5 MB, 50 km/h",
        size_bytes=5_000_000,
        seeds=range(1, 3),
        schedulers=ROUND_ROBIN,
        is_large=True,
    ),
    replace(
        DRIVING,
        name="1 cell, 6 x 1 MB down, 50 km/h",
        direction="downlink",
        schedulers=ROUND_ROBIN,
    ),
    replace(DRIVING, name="1 cell, 6 x 1 MB, TDD, 50 km/h", radio=TDD, schedulers=ROUND_ROBIN),
    replace(
        DRIVING,
        name="1 cell, 6 x 1 MB down, TDD, 50 km/h",
        direction="downlink",
        radio=TDD,
        schedulers=ROUND_ROBIN,
    ),
    replace(
        DRIVING,
        name="1 cell, 6 x 0.5 MB up and down, 3 km/h",
        size_bytes=500_000,
        mobility=_at_speed(3),
        direction="mixed",
        schedulers=ROUND_ROBIN,
    ),
    replace(
        DRIVING,
        name="1 cell, 6 x 1 MB, knowledge of 8 slots, 30 km/h",
        mobility=_at_speed(30),
        radio={"knowledge_delay_slots": 8},
        schedulers=ROUND_ROBIN,
    ),
    Case(
        name="1 cell, broadcast of 1 MB to 6, 3 km/h",
        layout=SingleCellLayout(),
        mobility=_at_speed(3),
        num_clients=6,
        size_bytes=1_000_000,
        direction="broadcast",
        seeds=range(1, 11),
        schedulers=ROUND_ROBIN,
    ),
    Case(
        name="indoor office, 24 x 0.5 MB, still",
        layout=IndoorOfficeLayout(),
        environment="inh",
        mobility=StaticMobility(),
        num_clients=24,
        size_bytes=500_000,
        seeds=range(1, 4),
        fadings=(NoFading(), TdlFading()),
        schedulers=ROUND_ROBIN,
    ),
    STILL_CELLS,
    replace(STILL_CELLS, name="21 cells, 40 x 0.5 MB in 0.5 s, still", spread_s=0.5),
    Case(
        name="21 cells, 20 x 10 MB in 1 s, 30 m/s",
        layout=HexagonalLayout(num_sites=7, isd_m=500.0),
        mobility=RandomDirectionMobility(speed_mps=30.0),
        num_clients=20,
        size_bytes=10_000_000,
        spread_s=1.0,
        seeds=range(1, 3),
        is_large=True,
        schedulers=ROUND_ROBIN,
    ),
)


def times_s(
    case: Case, fading: Fading, scheduler: str, engine: str, seed: int
) -> Float[np.ndarray, " transfer"]:
    """Return the times [s] of the transfers of a case."""
    env = simpy.Environment()
    world = WorldConfig(
        environment=case.environment,
        layout=case.layout,
        carrier_hz=3.5e9,
        mobility=case.mobility,
    )
    settings: dict[str, Any] = {
        "bandwidth_hz": 20e6,
        "subcarrier_spacing_hz": 30e3,
        "fading": fading,
        "scheduler": scheduler,
        "engine": engine,
        "access": None,
    }
    radio = RadioConfig(**(settings | dict(case.radio)))
    network = CellularNetwork(env, world, radio, num_clients=case.num_clients, seed=seed)
    transfers = []

    def arrive() -> simpy.events.ProcessGenerator:
        if case.direction == "broadcast":
            transfers.extend(network.broadcast(list(range(case.num_clients)), case.size_bytes))
            yield env.timeout(0.0)
            return
        for client_id in range(case.num_clients):
            is_down = case.direction == "downlink" or (case.direction == "mixed" and client_id % 2)
            direction: Literal["uplink", "downlink"] = "downlink" if is_down else "uplink"
            transfers.append(network.send(client_id, direction, case.size_bytes))
            if case.spread_s:
                yield env.timeout(case.spread_s / case.num_clients)
        yield env.timeout(0.0)

    env.run(until=env.process(arrive()))
    env.run(until=simpy.AllOf(env, [transfer.event for transfer in transfers]))
    rows = [transfer.event.value for transfer in transfers]
    taken_s = [row.finished_at_s - row.requested_at_s for row in rows if row is not None]
    if len(taken_s) < case.num_clients:
        msg = f"{case.name}: {case.num_clients - len(taken_s)} transfers have not ended"
        raise RuntimeError(msg)
    return np.array(taken_s)


def compare(case: Case, fading: Fading, scheduler: str) -> dict[str, object]:
    """Return mean times of both engines, and the seconds of this machine that they took."""
    times, late, host_s = {}, {}, {}
    for engine in ("flow", "slot"):
        started_s = time.process_time()
        found_s = [times_s(case, fading, scheduler, engine, seed) for seed in case.seeds]
        times[engine] = np.array([each.mean() for each in found_s])
        late[engine] = np.percentile(np.concatenate(found_s), 95)
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
        "late_slot_over_flow_percent": round(100 * (late["slot"] / late["flow"] - 1), 2),
        "slot_over_flow_host": round(host_s["slot"] / host_s["flow"], 1),
    }


def main(argv: list[str] | None = None) -> int:
    """Print a row a case, fading and scheduler."""
    parser = argparse.ArgumentParser(prog="benchmarks.engines", description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="leave out the large worlds")
    parser.add_argument("--only", default="", help="cases whose names contain this text")
    options = parser.parse_args(argv)
    found = []
    if not options.json:
        print(
            "| transfers | fading | scheduler | seeds | flow | slot | slot over flow | p95 | host |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        if (case.is_large and options.quick) or options.only not in case.name:
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
                        f"| {row['late_slot_over_flow_percent']:+.1f} % "
                        f"| x {row['slot_over_flow_host']} |",
                        flush=True,
                    )
    if options.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
