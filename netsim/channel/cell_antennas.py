"""Antenna gains of all cells towards clients."""

from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.channel.antenna import sector_gain_linear
from netsim.channel.ray_average import LinkAngles, RayDraws, draw_rays, link_angles, mean_gain
from netsim.config import standard
from netsim.config.world import OmniAntenna, WorldConfig
from netsim.streams import Purpose, stream
from netsim.units import db_to_linear
from netsim.world.cell_values import cell_zeniths_deg, site_heights_m
from netsim.world.layout import Layout

MIN_RAY_DISTANCE_M = 1.0
"""Smallest ground distance from which ray angles are computed [m]."""


class _Beams(NamedTuple):
    """Cells of sites whose antennas have the same boresights and zenith angle."""

    zenith_deg: float
    boresight_rad: Float[np.ndarray, " sector"]
    site_id: Int[np.ndarray, " site"]
    cell_id: Int[np.ndarray, "site sector"]


class CellAntennas:
    """Antennas of all cells.

    Parameters
    ----------
    world
        Environment, antenna and heights.
    layout
        Sites and cells.
    seed
        Root seed of the run.
    """

    def __init__(self, world: WorldConfig, layout: Layout, *, seed: int) -> None:
        self._world = world
        self._antenna = standard.antenna(world)
        self._seed = seed
        self._num_cells = len(layout.cells)
        self._num_sites = len(layout.sites)
        self._site_height_m = site_heights_m(world, layout)
        self._ue_height_m = standard.ue_height_m(world)
        self._beams = _beams(cell_zeniths_deg(world, layout), layout)

    def gain(
        self,
        azimuth_rad: Float[np.ndarray, "client site"],
        distance_m: Float[np.ndarray, "client site"],
        *,
        is_los: Bool[np.ndarray, "client site"],
        is_indoor: Bool[np.ndarray, " client"],
        client_ids: Int[np.ndarray, " client"],
    ) -> Float[np.ndarray, "client cell"]:
        """Return the linear gain of every cell; sectors of a site share the rays of a link.

        Parameters
        ----------
        azimuth_rad
            Direction from each site to each client [rad].
        distance_m
            Ground distance [m].
        is_los, is_indoor
            State of links and clients.
        client_ids
            Whose rays are drawn.
        """
        antenna = self._antenna
        shape = (len(client_ids), self._num_cells)
        if isinstance(antenna, OmniAntenna):
            return np.full(shape, db_to_linear(antenna.gain_dbi))
        angles: LinkAngles | None = None
        if antenna.ray_averaged:
            angles = link_angles(
                self._world.environment,
                self._rays(client_ids),
                azimuth_rad=azimuth_rad,
                distance_2d_m=np.maximum(distance_m, MIN_RAY_DISTANCE_M),
                is_los=is_los,
                is_indoor=np.broadcast_to(is_indoor[:, None], is_los.shape),
                carrier_hz=self._world.carrier_hz,
                bs_height_m=self._site_height_m,
                ue_height_m=self._ue_height_m,
            )
        zenith_rad = np.pi / 2 + np.arctan2(self._site_height_m - self._ue_height_m, distance_m)
        # an omnidirectional cell beside directional ones
        gain = np.full(shape, db_to_linear(OmniAntenna.gain_dbi))
        for beams in self._beams:
            pattern = partial(
                sector_gain_linear,
                num_elements=antenna.num_elements,
                element_spacing_wavelengths=antenna.element_spacing_wavelengths,
                zenith_deg=beams.zenith_deg,
            )
            site = beams.site_id
            if angles is None:
                gain[:, beams.cell_id] = pattern(
                    azimuth_rad[:, site, None] - beams.boresight_rad, zenith_rad[:, site, None]
                )
            else:
                own = angles if len(site) == self._num_sites else angles.of_sites(site)
                gain[:, beams.cell_id] = mean_gain(pattern, own, boresight_rad=beams.boresight_rad)
        return gain

    def _rays(self, client_ids: Int[np.ndarray, " client"]) -> RayDraws:
        """Draw the rays of all links of clients; not cached, as drawing them is cheap."""
        draws = [
            draw_rays(stream(self._seed, Purpose.ANGULAR_SPREAD, client_id), (self._num_sites,))
            for client_id in client_ids.tolist()
        ]
        return RayDraws(
            spread_normal=np.stack([draw.spread_normal for draw in draws]),
            k_factor_normal=np.stack([draw.k_factor_normal for draw in draws]),
            azimuth_normal=np.stack([draw.azimuth_normal for draw in draws]),
            zenith_laplace=np.stack([draw.zenith_laplace for draw in draws]),
        )


def _beams(zeniths_deg: list[float | None], layout: Layout) -> list[_Beams]:
    """Return the directional cells, those of sites with equal sectors together."""
    alike: dict[tuple[float, tuple[float, ...]], tuple[list[int], list[list[int]]]] = {}
    for site in layout.sites:
        by_zenith: dict[float, list[int]] = {}
        for cell_id in site.cell_ids:
            zenith_deg = zeniths_deg[cell_id]
            if zenith_deg is not None:
                by_zenith.setdefault(zenith_deg, []).append(cell_id)
        for zenith_deg, cell_ids in by_zenith.items():
            boresights_rad = tuple(layout.cell_boresight_rad[cell_ids].tolist())
            site_ids, cells = alike.setdefault((zenith_deg, boresights_rad), ([], []))
            site_ids.append(site.site_id)
            cells.append(cell_ids)
    return [
        _Beams(zenith_deg, np.array(boresights_rad), np.array(site_ids), np.array(cells))
        for (zenith_deg, boresights_rad), (site_ids, cells) in alike.items()
    ]
