"""Positions of sites, boresights of their cells, and distances from points to sites.

References
----------
Hexagonal grid of 1, 7 or 19 sites with sectors at 30, 150 and 270 degrees and wrap-around by six
displaced copies: the evaluation layout of 3GPP (TR 36.814, TR 38.901 clause 7.2 as recollected).
Indoor office: 120 m x 50 m, 12 sites 20 m apart (ITU-R M.2412 indoor hotspot).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from netsim.config import world as world_config
from netsim.config.sites import SitesLayout
from netsim.config.world import (
    HexagonalLayout,
    IndoorOfficeLayout,
    SingleCellLayout,
)
from netsim.world.area import Area, Disc, Hexagons, Rectangle
from netsim.world.own_sites import area_extent_m, boresight_deg, site_positions_m

NO_CELL = -1
"""Serving cell of a client out of coverage."""

SECTOR_BORESIGHTS_DEG = (30.0, 150.0, 270.0)
RINGS = {1: 0, 7: 1, 19: 2}
OFFICE_WIDTH_M, OFFICE_HEIGHT_M, OFFICE_SPACING_M = 120.0, 50.0, 20.0


@dataclass(frozen=True, slots=True)
class Site:
    """A base station site."""

    site_id: int
    x_m: float
    y_m: float
    cell_ids: tuple[int, ...]
    height_m: float | None = None
    """Own antenna height [m]; ``None``: that of all others."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A sector of a site."""

    cell_id: int
    site_id: int
    boresight_deg: float | None
    """Boresight, counter-clockwise from the x axis [degree]; ``None``: omnidirectional."""
    tilt_deg: float | None = None
    """Own electrical tilt below the horizon [degree]; ``None``: that of all others."""
    power_dbm: float | None = None
    """Own power over the band [dBm]; ``None``: that of all others."""


@dataclass(frozen=True)
class Layout:
    """Sites, cells, service area and, with wrap-around, the displaced copies of the layout."""

    sites: tuple[Site, ...]
    cells: tuple[Cell, ...]
    area: Area
    copy_shift_m: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    """Displacement of each copy of the layout; the first is the layout itself."""

    @cached_property
    def site_position_m(self) -> Float[np.ndarray, "site 2"]:
        """Positions of the sites [m]."""
        return np.array([(site.x_m, site.y_m) for site in self.sites])

    @cached_property
    def cell_site_id(self) -> Int[np.ndarray, " cell"]:
        """Site id of each cell."""
        return np.array([cell.site_id for cell in self.cells])

    @cached_property
    def cell_boresight_rad(self) -> Float[np.ndarray, " cell"]:
        """Boresight of each cell [rad]; NaN if omnidirectional."""
        degrees = [np.nan if c.boresight_deg is None else c.boresight_deg for c in self.cells]
        return np.radians(np.array(degrees))

    def displacement_m(
        self, position_m: Float[np.ndarray, "point 2"]
    ) -> Float[np.ndarray, "point site 2"]:
        """Return the vector from the nearest copy of each site to each point [m].

        Parameters
        ----------
        position_m
            Points of the service area.

        Returns
        -------
        Float[np.ndarray, "point site 2"]
            Its length is the two-dimensional distance, its angle the azimuth at the site.
        """
        plain_m = position_m[:, np.newaxis] - self.site_position_m[np.newaxis]
        if len(self.copy_shift_m) == 1:
            return plain_m
        nearest_m = plain_m.copy()
        nearest_square = np.einsum("psk,psk->ps", plain_m, plain_m)
        for shift_m in self.copy_shift_m[1:]:
            shifted_m = plain_m - np.array(shift_m)
            square = np.einsum("psk,psk->ps", shifted_m, shifted_m)
            closer = square < nearest_square
            nearest_m[closer] = shifted_m[closer]
            nearest_square[closer] = square[closer]
        return nearest_m

    def distance_m(
        self, position_m: Float[np.ndarray, "point 2"]
    ) -> Float[np.ndarray, "point site"]:
        """Return the ground distance from each point to the nearest copy of each site [m]."""
        displacement_m = self.displacement_m(position_m)
        return np.hypot(displacement_m[..., 0], displacement_m[..., 1])

    def distance_to_m(
        self, position_m: Float[np.ndarray, "point 2"], site_id: Int[np.ndarray, " point"]
    ) -> Float[np.ndarray, " point"]:
        """Return the ground distance from each point to the nearest copy of one site [m]."""
        plain_m = position_m - self.site_position_m[site_id]
        shifted_m = plain_m[:, np.newaxis] - np.array(self.copy_shift_m)
        return np.hypot(shifted_m[..., 0], shifted_m[..., 1]).min(axis=1)


def build_layout(config: world_config.Layout) -> Layout:
    """Return the layout of the scenario's settings.

    Sites are numbered from the centre outwards, then by angle; cells by site, then by boresight.
    Own sites and their sectors are numbered in the given order.
    """
    match config:
        case SingleCellLayout(radius_m=radius_m):
            sites, cells = _sites_and_cells([(0.0, 0.0)], (None,))
            return Layout(sites, cells, Disc(radius_m))
        case HexagonalLayout():
            return _hexagonal(config)
        case IndoorOfficeLayout():
            sites, cells = _sites_and_cells(_office_positions_m(), (None,))
            return Layout(sites, cells, Rectangle(OFFICE_WIDTH_M, OFFICE_HEIGHT_M))
        case SitesLayout():
            return _own(config)


def _sites_and_cells(
    position_m: list[tuple[float, float]], boresights_deg: tuple[float | None, ...]
) -> tuple[tuple[Site, ...], tuple[Cell, ...]]:
    sites: list[Site] = []
    cells: list[Cell] = []
    for site_id, (x_m, y_m) in enumerate(position_m):
        first = len(cells)
        cells += [Cell(first + k, site_id, deg) for k, deg in enumerate(boresights_deg)]
        sites.append(Site(site_id, x_m, y_m, tuple(range(first, len(cells)))))
    return tuple(sites), tuple(cells)


def _own(config: SitesLayout) -> Layout:
    sites: list[Site] = []
    cells: list[Cell] = []
    for site_id, (given, (x_m, y_m)) in enumerate(
        zip(config.own, site_positions_m(config).tolist(), strict=True)
    ):
        first = len(cells)
        cells += [
            Cell(
                first + index,
                site_id,
                boresight_deg(sector),
                tilt_deg=sector.tilt_deg,
                power_dbm=given.power_dbm if sector.power_dbm is None else sector.power_dbm,
            )
            for index, sector in enumerate(config.sectors_of(given))
        ]
        own_ids = tuple(range(first, len(cells)))
        sites.append(Site(site_id, x_m, y_m, own_ids, height_m=given.height_m))
    return Layout(tuple(sites), tuple(cells), Rectangle(*area_extent_m(config)))


def _hexagonal(config: HexagonalLayout) -> Layout:
    rings = RINGS[config.num_sites]
    axial = [
        (i, j)
        for i in range(-rings, rings + 1)
        for j in range(-rings, rings + 1)
        if abs(i + j) <= rings
    ]
    # By ring, then angle; the angle is rounded so that -180 and 180 degrees cannot swap.
    axial.sort(key=lambda ij: (_ring(ij), round(_angle_rad(ij), 6)))
    position_m = [_grid_point_m(i, j, config.isd_m) for i, j in axial]
    sites, cells = _sites_and_cells(position_m, SECTOR_BORESIGHTS_DEG)
    shifts_m: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    if config.wraparound:
        shifts_m += copy_shifts_m(config.num_sites, config.isd_m)
    return Layout(sites, cells, Hexagons(tuple(position_m), config.isd_m), shifts_m)


def _ring(axial: tuple[int, int]) -> int:
    i, j = axial
    return max(abs(i), abs(j), abs(i + j))


def _angle_rad(axial: tuple[int, int]) -> float:
    x_m, y_m = _grid_point_m(*axial, 1.0)
    return float(np.arctan2(y_m, x_m)) % (2 * np.pi)


def _grid_point_m(i: int, j: int, isd_m: float) -> tuple[float, float]:
    return (isd_m * (i + 0.5 * j), isd_m * j * 3**0.5 / 2)


def copy_shifts_m(num_sites: int, isd_m: float) -> tuple[tuple[float, float], ...]:
    """Return the displacements of the six copies around a cluster of 1, 7 or 19 hexagons [m].

    With r rings they are ``(r + 1) a1 + r a2`` rotated by multiples of 60 degrees, where a1 and a2
    are the grid vectors at 0 and 60 degrees; the copies tile the plane.
    """
    rings = RINGS[num_sites]
    x_m, y_m = _grid_point_m(rings + 1, rings, isd_m)
    rotated_m = complex(x_m, y_m) * np.exp(1j * np.pi / 3 * np.arange(6))
    return tuple((float(z_m.real), float(z_m.imag)) for z_m in rotated_m)


def _office_positions_m() -> list[tuple[float, float]]:
    """Return two rows of six sites, 20 m apart, centred in the hall."""
    return [
        (OFFICE_SPACING_M * (column - 2.5), OFFICE_SPACING_M * (row - 0.5))
        for row in range(2)
        for column in range(6)
    ]
