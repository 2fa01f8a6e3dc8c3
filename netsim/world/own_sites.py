"""Places, extent and boresights of own sites, from their settings."""

import numpy as np
from jaxtyping import Float

from netsim.config.sites import SectorConfig, SitesLayout
from netsim.world.geodesy import local_position_m


def site_positions_m(layout: SitesLayout) -> Float[np.ndarray, "site 2"]:
    """Return the places of sites [m], in order of ids, from the centre of the service area.

    Parameters
    ----------
    layout
        Its sites have either ``x_m`` and ``y_m`` or ``lat_deg`` and ``lon_deg``, all the same, see
        :mod:`netsim.checks.own_sites`.
    """
    if layout.own[0].lat_deg is not None:
        degrees = np.array([(site.lat_deg, site.lon_deg) for site in layout.own], dtype=float)
        return local_position_m(degrees[:, 0], degrees[:, 1])
    return np.array([(site.x_m, site.y_m) for site in layout.own], dtype=float)


def area_extent_m(layout: SitesLayout) -> tuple[float, float]:
    """Return the extent of the service area along x and y [m], around the origin.

    Where it is left out: so large that it ends at the margin from the outermost sites.
    """
    farthest_m = np.abs(site_positions_m(layout)).max(axis=0)
    width_m, height_m = (2.0 * (farthest_m + layout.margin_m)).tolist()
    return (
        width_m if layout.width_m is None else layout.width_m,
        height_m if layout.height_m is None else layout.height_m,
    )


def boresight_deg(sector: SectorConfig) -> float | None:
    """Return the boresight counter-clockwise from the x axis [degree]; ``None``: omnidirectional.

    Examples
    --------
    >>> boresight_deg(SectorConfig(azimuth_deg=60.0))
    30.0
    """
    return None if sector.azimuth_deg is None else (90.0 - sector.azimuth_deg) % 360.0
