"""Own sites in ``world.layout``: places, and what each site and sector has of its own.

What is left out is that of all others: ``world.site_height_m``, ``world.antenna`` and
``radio.site_power_dbm``, and where these are left out, the value of the environment.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

Point = tuple[float, float]

MAX_SITES = 1000
"""Most own sites (our choice): a client has a gain to every cell."""
MAX_SECTORS = 12
"""Most sectors of an own site (our choice)."""

Power = Annotated[float, Ge(0), Le(60)]


@dataclass(frozen=True, kw_only=True)
class SectorConfig:
    """One sector of an own site, which is a cell."""

    azimuth_deg: Annotated[float, Ge(-180), Le(360)] | None = None
    """Main direction, clockwise from north (the y axis) as operators give it [degree]; ``None`` is
    omnidirectional. ``boresight_deg`` of ``cells.csv`` counts counter-clockwise from the x axis:
    90 - azimuth."""
    tilt_deg: Annotated[float, Gt(-90), Lt(90)] | None = None
    """Electrical tilt below the horizon [degree]; ``None``: ``antenna.zenith_deg`` - 90, which is 9
    by default."""
    power_dbm: Power | None = None
    """Total power over the band [dBm], whatever its bandwidth; ``None``: that of the site."""


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
    """One own site, at ``x_m`` and ``y_m`` or at ``lat_deg`` and ``lon_deg``."""

    x_m: float | None = None
    """Place [m] to the east of the centre of the service area."""
    y_m: float | None = None
    """Place [m] to the north of the centre."""
    lat_deg: Annotated[float, Ge(-80), Le(80)] | None = None
    """Latitude (WGS 84) [degree]; the centre is in the middle of the sites' extent."""
    lon_deg: Annotated[float, Ge(-180), Le(180)] | None = None
    """Longitude [degree]."""
    height_m: Annotated[float, Gt(0)] | None = None
    """Height of the antennas above ground [m]; ``None``: ``world.site_height_m``."""
    power_dbm: Power | None = None
    """Total power of a cell over the band [dBm], whatever its bandwidth; ``None``:
    ``radio.site_power_dbm``, whose default grows with it."""
    sectors: Annotated[tuple[SectorConfig, ...], MinLen(1), MaxLen(MAX_SECTORS)] | None = None
    """Cells of the site; ``None``: those of ``num_sectors``."""


THREE_SECTORS = tuple(SectorConfig(azimuth_deg=azimuth_deg) for azimuth_deg in (60.0, 300.0, 180.0))
"""Sectors of a site that gives none, in the order of their boresights 30, 150 and 270 degrees."""
ONE_CELL = (SectorConfig(),)


@dataclass(frozen=True, kw_only=True)
class SitesLayout:
    """Sites at given positions, or own sites, in a rectangular service area around the origin.

    One of ``positions_m``, ``sites`` and ``path`` says where the sites are.
    """

    positions_m: Annotated[tuple[Point, ...], MinLen(1), MaxLen(MAX_SITES)] | None = None
    """Position (x, y) [m] of each site, in order of ids; within the service area."""
    sites: Annotated[tuple[SiteConfig, ...], MinLen(1), MaxLen(MAX_SITES)] | None = None
    """Sites with heights, sectors, tilts and powers of their own, in order of ids."""
    path: str | None = None
    """The same from a csv file, one row a sector: columns ``site``, ``x_m`` and ``y_m`` or
    ``lat_deg`` and ``lon_deg``, and, as needed, ``height_m``, ``azimuth_deg``, ``tilt_deg``,
    ``power_dbm``. Sites are numbered in order of appearance."""
    width_m: Annotated[float, Gt(0)] | None = None
    """Extent [m] of the service area along x; ``None``: that of the sites and the margin."""
    height_m: Annotated[float, Gt(0)] | None = None
    """Extent [m] of the service area along y; ``None``: that of the sites and the margin."""
    margin_m: Annotated[float, Gt(0)] = 250.0
    """Distance [m] from the outermost sites to the border, where the extent is left out."""
    num_sectors: Literal[1, 3] = 3
    """Cells of a site that gives no sectors: one omnidirectional, or three (azimuths 60, 300 and
    180 degrees, which are boresights 30, 150 and 270)."""
    kind: Literal["sites"] = "sites"

    @property
    def own(self) -> tuple[SiteConfig, ...]:
        """Return all sites in order of ids, however they are given; none of a file not yet read."""
        if self.sites is not None:
            return self.sites
        return tuple(SiteConfig(x_m=x_m, y_m=y_m) for x_m, y_m in self.positions_m or ())

    def sectors_of(self, site: SiteConfig) -> tuple[SectorConfig, ...]:
        """Return the sectors of one of the sites, its own or those of ``num_sectors``."""
        if site.sectors is not None:
            return site.sectors
        return THREE_SECTORS if self.num_sectors > 1 else ONE_CELL

    @property
    def cells(self) -> tuple[SectorConfig, ...]:
        """Return the sectors of all sites, in order of cell ids."""
        return tuple(sector for site in self.own for sector in self.sectors_of(site))
