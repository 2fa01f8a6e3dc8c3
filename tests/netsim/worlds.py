"""Small worlds for tests: sections with few words."""

import numpy as np
import simpy

from netsim.config import RadioConfig, WorldConfig
from netsim.config.radio import A3Handover, NoFading, NoHandover, SiteOutage, UplinkPowerConfig
from netsim.config.sites import SitesLayout
from netsim.config.ue_power import Tr38840PowerConfig
from netsim.config.world import NoShadowing, SingleCellLayout, StaticMobility
from netsim.engines import timed_engine
from netsim.network import CellularNetwork
from netsim.phy.block_sizes import BlockSizes
from netsim.phy_abstraction import uplink_power
from netsim.phy_abstraction.block_choice import block_choice
from netsim.phy_abstraction.short_blocks import ShortBlocks

TWO_SITES = SitesLayout(
    positions_m=((0.0, 0.0), (600.0, 0.0)), width_m=3000.0, height_m=3000.0, num_sectors=1
)
NEAR_0, NEAR_1 = (100.0, 0.0), (500.0, 0.0)
"""Places near the one and the other of these sites."""


def still_world(positions_m, **changes) -> WorldConfig:
    """One omnidirectional cell, line of sight everywhere, clients where they are put."""
    settings = {
        "environment": "uma",
        "layout": SingleCellLayout(),
        "carrier_hz": 3.5e9,
        "mobility": StaticMobility(positions_m=tuple(positions_m)),
        "line_of_sight": "always",
        "shadowing": NoShadowing(),
    }
    return WorldConfig(**(settings | changes))


def plain_radio(**changes) -> RadioConfig:
    """20 MHz, 30 kHz, no fading, round robin, one antenna, power of TR 38.840, no access costs.

    Nor is there a power reduction by modulation.
    """
    settings = {
        "bandwidth_hz": 20e6,
        "subcarrier_spacing_hz": 30e3,
        "fading": NoFading(),
        "scheduler": "round_robin",
        "handover": NoHandover(),
        "site_rx_antennas": 1,
        "access": None,
        "uplink_power": UplinkPowerConfig(max_power_reduction=None),
        "ue_power": Tr38840PowerConfig(),
    }
    return RadioConfig(**(settings | changes))


def make_network(world, radio, *, num_clients=None, seed=1, own_scheduler=None):
    """A network on a clock of its own."""
    env = simpy.Environment()
    if num_clients is None:
        num_clients = len(world.mobility.positions_m)
    return env, CellularNetwork(
        env, world, radio, num_clients=num_clients, seed=seed, own_scheduler=own_scheduler
    )


def two_sites(places=(NEAR_0,), *, engine="flow", outages=(), **changes):
    """A static world of two cells; client 0 belongs to site 0."""
    settings_ = {"handover": A3Handover(), "bandwidth_hz": 5e6, "engine": engine}
    radio = plain_radio(outages=tuple(outages), **(settings_ | changes))
    return make_network(still_world(places, layout=TWO_SITES, line_of_sight="never"), radio)


def dead(site_id, started_at_s, finished_at_s):
    """An outage in one line."""
    return SiteOutage(site_id=site_id, started_at_s=started_at_s, finished_at_s=finished_at_s)


def run_all(env, transfers):
    """Run until every transfer has ended; give the rows in the order of the transfers."""
    env.run(until=simpy.AllOf(env, [transfer.event for transfer in transfers]))
    return [transfer.event.value for transfer in transfers]


def ring(count, *, radius_m):
    """Places on a circle."""
    angle = 2 * np.pi * np.arange(count) / count
    return [(float(radius_m * np.cos(a)), float(radius_m * np.sin(a))) for a in angle]


def ignore_block_sizes(monkeypatch):
    """Let blocks carry what their elements would, with the error rates of long blocks.

    Closed forms hold without rounding to bytes and loss by length.
    """
    # a table made now must not be there afterwards
    monkeypatch.setattr(uplink_power, "block_choice", block_choice.__wrapped__)
    monkeypatch.setattr(ShortBlocks, "equivalent_sinr", lambda _self, sinr, _blocks: sinr)
    monkeypatch.setattr(
        BlockSizes, "ratio", lambda _self, _efficiency, blocks: np.ones(len(blocks))
    )


def ignore_end_of_slot(monkeypatch):
    """Let transfers of the flow engine end with their last bit, so that they are fluids alone.

    Closed forms hold without the half slot that is left then.
    """
    monkeypatch.setattr(timed_engine, "END_OF_SLOT", 0.0)
