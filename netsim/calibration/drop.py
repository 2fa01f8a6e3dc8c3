"""Drops of UEs in a macro layout: coupling gain and geometry of each UE.

The gains are those of :class:`netsim.channel.link_budget.LinkBudget`, which both engines use;
nothing here is tuned to the targets.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from netsim.calibration.cases import Case
from netsim.channel.geometry import wideband_sinr
from netsim.channel.link_budget import LinkBudget
from netsim.config.world import HexagonalLayout, SectorAntenna, WorldConfig
from netsim.phy.noise import noise_power_w
from netsim.units import dbm_to_w, linear_to_db
from netsim.world.layout import Layout, build_layout
from netsim.world.population import Population

UES_PER_DROP = 190
"""Ten per site: UEs of one drop share the shadowing fields, so more drops reduce the error more
than more UEs."""

UE_HEIGHT_M = 1.5


class DropResult(NamedTuple):
    """Large-scale quantities of UEs."""

    coupling_gain_db: Float[np.ndarray, " ue"]
    """Coupling gain to the serving cell, the strongest one [dB]."""
    geometry_db: Float[np.ndarray, " ue"]
    """Wideband downlink SINR with all cells transmitting, without fast fading [dB]."""


def world_of(case: Case, *, ray_averaged: bool = True) -> WorldConfig:
    """Return the world of a case: 19 sites x 3 sectors with wrap-around, static UEs.

    Parameters
    ----------
    case
        Calibration case.
    ray_averaged
        Whether the antenna pattern is averaged over rays; if not, it has a bias.
    """
    return WorldConfig(
        environment=case.environment,
        layout=HexagonalLayout(num_sites=19, isd_m=case.isd_m, wraparound=True),
        carrier_hz=case.carrier_hz,
        antenna=SectorAntenna(zenith_deg=case.tilt_deg, ray_averaged=ray_averaged),
        site_height_m=case.bs_height_m,
        ue_height_m=UE_HEIGHT_M,
        indoor_fraction=case.indoor_fraction,
        car_fraction=case.car_fraction,
        penetration=case.building,
    )


def run_drops(
    case: Case,
    *,
    num_drops: int,
    seed: int = 1,
    num_ues: int = UES_PER_DROP,
    ray_averaged: bool = True,
) -> DropResult:
    """Run independent drops of UEs and pool their results.

    Parameters
    ----------
    case
        Calibration case.
    num_drops
        Number of drops, >= 1; drop k has the root seed ``1000 seed + k``.
    seed
        Seed of all drops.
    num_ues
        UEs of a drop.
    ray_averaged
        See :func:`world_of`.
    """
    world = world_of(case, ray_averaged=ray_averaged)
    layout = build_layout(world.layout)
    drops = [
        one_drop(case, world, layout=layout, seed=1000 * seed + index, num_ues=num_ues)
        for index in range(num_drops)
    ]
    return DropResult(*(np.concatenate(column) for column in zip(*drops, strict=True)))


def one_drop(
    case: Case, world: WorldConfig, *, layout: Layout, seed: int, num_ues: int
) -> DropResult:
    """Run one drop; each UE is served by its strongest cell."""
    population = Population(world, layout, seed=seed)
    budget = LinkBudget(world, layout, population, seed=seed)
    gain = budget.gain(np.arange(num_ues), at_s=0.0)
    received_w = gain * dbm_to_w(case.tx_power_dbm)
    noise_w = float(noise_power_w(case.bandwidth_hz, noise_figure_db=case.noise_figure_db))
    geometry = wideband_sinr(received_w, noise_w=noise_w)
    return DropResult(linear_to_db(gain.max(axis=1)), linear_to_db(geometry))
