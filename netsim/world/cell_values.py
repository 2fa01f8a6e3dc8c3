"""Height, tilt and power of each site and cell: its own, or that of all others."""

import numpy as np
from jaxtyping import Float

from netsim.config import RadioConfig, WorldConfig, standard
from netsim.config.world import SectorAntenna
from netsim.world.layout import Layout


def site_heights_m(world: WorldConfig, layout: Layout) -> Float[np.ndarray, " site"]:
    """Return the antenna height of each site [m]."""
    default_m = standard.site_height_m(world)
    own = [default_m if site.height_m is None else site.height_m for site in layout.sites]
    return np.array(own)


def cell_zeniths_deg(world: WorldConfig, layout: Layout) -> list[float | None]:
    """Return the steering of each cell's antenna as a zenith angle [degree].

    ``None`` where the antenna has no main direction.
    """
    antenna = standard.antenna(world)
    if not isinstance(antenna, SectorAntenna):
        return [None] * len(layout.cells)
    return [
        None
        if cell.boresight_deg is None
        else antenna.zenith_deg
        if cell.tilt_deg is None
        else 90.0 + cell.tilt_deg
        for cell in layout.cells
    ]


def cell_powers_dbm(
    world: WorldConfig, radio: RadioConfig, layout: Layout
) -> Float[np.ndarray, " cell"]:
    """Return the total power of each cell over its band [dBm]."""
    default_dbm = standard.site_power_dbm(world, radio)
    own = [default_dbm if cell.power_dbm is None else cell.power_dbm for cell in layout.cells]
    return np.array(own)
