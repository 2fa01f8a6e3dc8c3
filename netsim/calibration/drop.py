"""Drops of UEs over a macro layout: coupling gain and geometry of each UE.

Built from the same functions that the engines use; nothing here is tuned to the targets.
"""

from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float

from netsim.antenna import sector_gain_linear
from netsim.calibration.cases import Case
from netsim.config.world import HexagonalLayout
from netsim.environment import MODEL_RANGES
from netsim.layout import SECTOR_BORESIGHTS_DEG, Layout, build_layout
from netsim.line_of_sight import LineOfSightMap
from netsim.noise import noise_power_w
from netsim.pathloss import breakpoint_distance_m, path_loss_db
from netsim.penetration import draw_building_entry, draw_car_loss_db
from netsim.placement import Placement
from netsim.ray_average import draw_rays, link_angles, mean_gain
from netsim.shadowing import ShadowingMap
from netsim.streams import Purpose, stream
from netsim.units import db_to_linear, dbm_to_w, linear_to_db

NUM_SITES: Literal[19] = 19
UES_PER_DROP = 190
"""Ten a site: UEs of one world share its shadowing, so more worlds tell more than more UEs."""
UE_HEIGHT_M = 1.5

Array = npt.NDArray[np.float64]


class DropResult(NamedTuple):
    """Large-scale view of UEs."""

    coupling_gain_db: Float[np.ndarray, " ue"]
    """All gains less all losses to the serving cell, the strongest one [dB]."""
    geometry_db: Float[np.ndarray, " ue"]
    """Wideband downlink SINR with all cells on, without fast fading [dB]."""


def run_drops(
    case: Case, *, num_drops: int, seed: int = 1, num_ues: int = UES_PER_DROP
) -> DropResult:
    """Drop UEs several times, each time in a new world, and pool them.

    Parameters
    ----------
    case
        What to drop.
    num_drops
        Number of worlds, >= 1; world k has the root seed ``1000 seed + k``.
    seed
        Decides everything.
    num_ues
        UEs of a world.
    """
    layout = build_layout(HexagonalLayout(num_sites=NUM_SITES, isd_m=case.isd_m, wraparound=True))
    drops = [
        one_drop(case, layout, seed=1000 * seed + index, num_ues=num_ues)
        for index in range(num_drops)
    ]
    return DropResult(*(np.concatenate(column) for column in zip(*drops, strict=True)))


def one_drop(case: Case, layout: Layout, *, seed: int, num_ues: int) -> DropResult:
    """Drop UEs in one world and attach each to its strongest cell."""
    gain = cell_gains(case, layout, seed=seed, num_ues=num_ues)
    received_w = gain * dbm_to_w(case.tx_power_dbm)
    noise_w = noise_power_w(case.bandwidth_hz, noise_figure_db=case.noise_figure_db)
    best_w = received_w.max(axis=1)
    geometry = best_w / (received_w.sum(axis=1) - best_w + noise_w)
    return DropResult(linear_to_db(gain.max(axis=1)), linear_to_db(geometry))


def cell_gains(
    case: Case, layout: Layout, *, seed: int, num_ues: int
) -> Float[np.ndarray, "ue cell"]:
    """Give the linear gain between every UE and every cell, all losses included."""
    nearest_m, _ = MODEL_RANGES[case.environment].distance_2d_m
    placement = Placement(layout, seed=seed, min_distance_m=nearest_m)
    position_m = placement.positions_m(np.arange(num_ues))
    away_m = layout.displacement_m(position_m)
    distance_m = np.hypot(away_m[..., 0], away_m[..., 1])
    obstacles = _obstacles(case, seed=seed, shape=distance_m.shape)
    outdoor_m = np.maximum(distance_m - obstacles.indoor_distance_m, 0.0)
    is_los = LineOfSightMap(seed, case.environment, num_sites=len(layout.sites)).is_los(
        position_m, distance_2d_m=outdoor_m, ue_height_m=UE_HEIGHT_M
    )
    loss_db = obstacles.loss_db + _outdoor_loss_db(
        case, position_m, distance_m, is_los=is_los, is_indoor=obstacles.is_indoor, seed=seed
    )
    angles = link_angles(
        case.environment,
        draw_rays(stream(seed, Purpose.ANGULAR_SPREAD), distance_m.shape),
        azimuth_rad=np.arctan2(away_m[..., 1], away_m[..., 0]),
        distance_2d_m=distance_m,
        is_los=is_los,
        is_indoor=np.broadcast_to(obstacles.is_indoor[:, None], is_los.shape),
        carrier_hz=case.carrier_hz,
        bs_height_m=case.bs_height_m,
        ue_height_m=UE_HEIGHT_M,
    )
    pattern = partial(sector_gain_linear, zenith_deg=case.tilt_deg)
    antenna = mean_gain(pattern, angles, boresight_rad=np.radians(SECTOR_BORESIGHTS_DEG))
    return (antenna * db_to_linear(-loss_db)[..., None]).reshape(num_ues, -1)


class _Obstacles(NamedTuple):
    """Walls and cars around UEs."""

    is_indoor: Bool[np.ndarray, " ue"]
    indoor_distance_m: Float[np.ndarray, "ue site"]
    loss_db: Float[np.ndarray, "ue site"]


def _obstacles(case: Case, *, seed: int, shape: tuple[int, int]) -> _Obstacles:
    rng = stream(seed, Purpose.PENETRATION)
    uniform = rng.random(shape[0])
    is_indoor = uniform < case.indoor_fraction
    is_in_car = ~is_indoor & (uniform < case.indoor_fraction + case.car_fraction)
    entry = draw_building_entry(
        rng,
        shape if case.building == "legacy" else (shape[0], 1),
        environment=case.environment,
        model=case.building,
        carrier_hz=case.carrier_hz,
    )
    car_db = np.where(is_in_car, draw_car_loss_db(rng, shape[0]), 0.0)
    return _Obstacles(
        is_indoor,
        np.broadcast_to(np.where(is_indoor[:, None], entry.indoor_distance_m, 0.0), shape),
        np.broadcast_to(np.where(is_indoor[:, None], entry.loss_db, car_db[:, None]), shape),
    )


def _outdoor_loss_db(
    case: Case,
    position_m: Array,
    distance_m: Array,
    *,
    is_los: npt.NDArray[np.bool_],
    is_indoor: npt.NDArray[np.bool_],
    seed: int,
) -> Array:
    """Path loss and shadowing to every site."""
    path_db = path_loss_db(
        case.environment,
        distance_m,
        is_los=is_los,
        carrier_hz=case.carrier_hz,
        bs_height_m=case.bs_height_m,
        ue_height_m=UE_HEIGHT_M,
    )
    breakpoint_m = breakpoint_distance_m(
        case.environment,
        carrier_hz=case.carrier_hz,
        bs_height_m=case.bs_height_m,
        ue_height_m=UE_HEIGHT_M,
    )
    shadow_db = ShadowingMap(seed, case.environment, num_sites=NUM_SITES).value_db(
        position_m,
        is_los=is_los,
        is_indoor=is_indoor,
        is_beyond_breakpoint=distance_m > breakpoint_m,
    )
    return path_db + shadow_db
