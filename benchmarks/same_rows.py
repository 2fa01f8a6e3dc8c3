"""Digests of transfer rows and energies: ``python -m benchmarks.same_rows [--json] [--only TEXT]``.

Small worlds of every kind (both engines, every scheduler, fading, layout, duplex, backhaul, receive
antennas). Run it on two commits: a case whose digest is the same gave the same rows byte for byte.
For changes that must not change numbers.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import simpy

from netsim.config import RadioConfig, WorldConfig
from netsim.config.radio import (
    BackgroundShare,
    InnerLoopAdaptation,
    NoFading,
    RayleighFading,
    RicianFading,
    SiteOutage,
    StarBackhaul,
    TddDuplex,
    TdlFading,
    UplinkPowerConfig,
)
from netsim.config.sites import SitesLayout
from netsim.config.world import (
    GaussMarkovMobility,
    HexagonalLayout,
    IndoorOfficeLayout,
    ManhattanMobility,
    RandomDirectionMobility,
    RandomWaypointMobility,
    SingleCellLayout,
    StaticMobility,
)
from netsim.network import CellularNetwork

FIELDS = (
    "client_id",
    "direction",
    "size_bytes",
    "delivered_bytes",
    "requested_at_s",
    "started_at_s",
    "finished_at_s",
    "cell_id",
    "mean_sinr_db",
    "num_resource_blocks",
    "retransmissions",
    "handovers",
    "energy_j",
    "status",
)
RADIO: dict[str, Any] = {
    "bandwidth_hz": 20e6,
    "subcarrier_spacing_hz": 30e3,
    "site_rx_antennas": 1,
    "access": None,
    "uplink_power": UplinkPowerConfig(max_power_reduction=None),
}
SCHEDULERS = (
    "round_robin",
    "proportional_fair",
    "max_ci",
    "earliest_deadline",
    "equal_finish",
    "min_energy",
)
HEXAGON = HexagonalLayout(num_sites=7, isd_m=500.0, wraparound=True)
TWO_SITES = SitesLayout(
    positions_m=((0.0, 0.0), (600.0, 0.0)), width_m=3000.0, height_m=3000.0, num_sectors=1
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One small world and what is sent in it."""

    name: str
    world: dict[str, Any]
    radio: dict[str, Any]
    num_clients: int = 6
    up_bytes: int = 200_000
    down_bytes: int = 300_000
    broadcast_bytes: int = 0
    """Sent to all clients first, when not 0."""
    seed: int = 1


def cases() -> Iterator[Case]:
    """Return all cases; their names are distinct."""
    walk = {"layout": SingleCellLayout(), "mobility": RandomWaypointMobility()}
    fadings = {
        "none": NoFading(),
        "rayleigh": RayleighFading(),
        "tdl": TdlFading(),
        "rician": RicianFading(),
    }
    for scheduler in SCHEDULERS:
        for name, fading in fadings.items():
            for engine in ("flow", "slot"):
                yield Case(
                    name=f"cell/{scheduler}/{name}/{engine}",
                    world=walk,
                    radio={"scheduler": scheduler, "fading": fading, "engine": engine},
                    up_bytes=60_000 if engine == "slot" else 200_000,
                    down_bytes=80_000 if engine == "slot" else 300_000,
                )
    for scheduler in SCHEDULERS:
        yield Case(
            name=f"hexagon/{scheduler}",
            world={"layout": HEXAGON, "mobility": RandomDirectionMobility(speed_mps=8.0)},
            radio={"scheduler": scheduler},
            num_clients=40,
        )
    for scheduler in ("round_robin", "proportional_fair"):
        for direction in ("up", "down"):
            yield Case(
                name=f"hexagon/slot/{scheduler}/{direction}",
                world={"layout": HEXAGON, "mobility": GaussMarkovMobility()},
                radio={"scheduler": scheduler, "engine": "slot"},
                num_clients=20,
                up_bytes=60_000 if direction == "up" else 0,
                down_bytes=60_000 if direction == "down" else 0,
            )
    still = {"layout": TWO_SITES, "mobility": StaticMobility(positions_m=((1000.0, 0.0),) * 4)}
    for scheduler in ("round_robin", "proportional_fair", "equal_finish"):
        for engine in ("flow", "slot"):
            yield Case(
                name=f"edge/{scheduler}/{engine}",
                world={**still, "line_of_sight": "never"},
                radio={"scheduler": scheduler, "engine": engine},
                num_clients=4,
                up_bytes=20_000,
            )
    for engine in ("flow", "slot"):
        size = {"up_bytes": 60_000, "down_bytes": 60_000}
        radio = {"engine": engine}
        yield Case(
            name=f"tdd/{engine}",
            world=walk,
            radio={**radio, "duplex": TddDuplex()},
            **size,
        )
        yield Case(
            name=f"broadcast/{engine}",
            world={"layout": HEXAGON},
            radio=radio,
            num_clients=12,
            broadcast_bytes=60_000,
            **size,
        )
        yield Case(
            name=f"backhaul/{engine}",
            world=walk,
            radio={**radio, "backhaul": StarBackhaul(latency_s=0.01, rate_bps=8e6)},
            **size,
        )
        yield Case(
            name=f"office/{engine}",
            world={"environment": "inh", "layout": IndoorOfficeLayout()},
            radio=radio,
            num_clients=12,
            **size,
        )
        yield Case(
            name=f"outage/{engine}",
            world={"layout": TWO_SITES, "mobility": RandomDirectionMobility(speed_mps=15.0)},
            radio={
                **radio,
                "outages": (SiteOutage(site_id=0, started_at_s=0.1, finished_at_s=1.0),),
            },
            num_clients=8,
            **size,
        )
        yield Case(
            name=f"inner_loop/{engine}",
            world=walk,
            radio={
                **radio,
                "link_adaptation": InnerLoopAdaptation(),
                "mcs_table": 2,
                "background_load": BackgroundShare(downlink_fraction=0.3, uplink_rise_db=3.0),
            },
            **size,
        )
        yield Case(
            name=f"indoors/{engine}",
            world={
                **walk,
                "mobility": ManhattanMobility(),
                "environment": "umi",
                "indoor_fraction": 0.5,
                "car_fraction": 0.2,
            },
            radio=radio,
            num_clients=10,
            **size,
        )
        for num_antennas, correlation in ((4, 0.3), (64, 0.0)):
            yield Case(
                name=f"antennas/{num_antennas}/{engine}",
                world=walk,
                radio={
                    **radio,
                    "site_rx_antennas": num_antennas,
                    "site_rx_correlation": correlation,
                    "fading": TdlFading(),
                },
                **size,
            )
        yield Case(
            name=f"mmse/{engine}",
            world={"layout": TWO_SITES, "mobility": RandomDirectionMobility(speed_mps=15.0)},
            radio={**radio, "site_rx_antennas": 4, "site_combining": "mmse"},
            num_clients=8,
            **size,
        )
    for mode_fading in (RayleighFading(mode="ergodic"), TdlFading(mode="ergodic")):
        yield Case(
            name=f"ergodic/{mode_fading.kind}",
            world=walk,
            radio={"scheduler": "round_robin", "fading": mode_fading},
        )


def digest(case: Case) -> str:
    """Return the digest of what a case's world did."""
    env = simpy.Environment()
    world = WorldConfig(**{"environment": "uma", "carrier_hz": 3.5e9, **case.world})
    radio = RadioConfig(**{**RADIO, **case.radio})
    network = CellularNetwork(env, world, radio, num_clients=case.num_clients, seed=case.seed)
    ids = range(case.num_clients)
    sent = []
    if case.broadcast_bytes:
        sent += network.broadcast(list(ids), case.broadcast_bytes, timeout_s=60.0)
    if case.down_bytes:
        sent += [network.send(k, "downlink", case.down_bytes, timeout_s=60.0) for k in ids]
    if case.up_bytes:
        env.run(until=0.02)
        sent += [network.send(k, "uplink", case.up_bytes, timeout_s=60.0) for k in ids]
    env.run(until=simpy.AllOf(env, [transfer.event for transfer in sent]))
    text = hashlib.sha256()
    for row in network.transfers():
        text.update(repr([getattr(row, name) for name in FIELDS]).encode())
    for total in network.energy.totals(float(env.now)):
        text.update(
            repr(
                (total.owner, total.owner_id, total.activity, total.seconds, total.energy_j)
            ).encode()
        )
    return text.hexdigest()[:16]


def main() -> None:
    """Print a line a case, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    arguments = parser.parse_args()
    found = {}
    for case in cases():
        if arguments.only not in case.name:
            continue
        found[case.name] = digest(case)
        if not arguments.json:
            print(f"{found[case.name]}  {case.name}", flush=True)
    if arguments.json:
        print(json.dumps(found))


if __name__ == "__main__":
    main()
