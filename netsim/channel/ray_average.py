"""Antenna gain averaged over scattered rays.

Applying the pattern in the direction of the UE alone overestimates narrow sectors: the median
geometry of a macro layout is then 1.3 to 2.3 dB above that of the companies of RP-180524, as power
leaves the site in many directions. Here each link has a direct path and 20 rays around it, drawn
once with the angular spreads of TR 38.901, and the pattern is averaged in power. There are no
clusters and no delays.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float, Int

from netsim.array_like import ArrayLike
from netsim.channel.antenna import Pattern
from netsim.config.environment import EnvironmentName
from netsim.units import db_to_linear

NUM_RAYS = 20
MAX_AZIMUTH_SPREAD_DEG = 104.0
MAX_ZENITH_SPREAD_DEG = 52.0
"""Limits of the spreads, TR 38.901 clause 7.5 step 4."""

POLARISATION_LOSS = 0.5
"""Loss of one +45 degree port towards two UE polarisations: each receives half."""

_CHUNK_ELEMENTS = 2_000_000
"""Rays times sectors evaluated at once: 16 MB of doubles."""

Array = npt.NDArray[np.float64]


class Normal(NamedTuple):
    """Mean and standard deviation of a normal variable; arrays broadcast over links."""

    mean: ArrayLike
    sigma: ArrayLike


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RayDraws:
    """Standard random numbers of links, independent of distance, LOS state and carrier."""

    spread_normal: Float[np.ndarray, "*link 2"]
    """Standard normal: azimuth spread, zenith spread."""
    k_factor_normal: Float[np.ndarray, "*link"]
    """Standard normal of the K factor."""
    azimuth_normal: Float[np.ndarray, "*link ray"]
    """Standard normal of every ray."""
    zenith_laplace: Float[np.ndarray, "*link ray"]
    """Laplace of unit variance of every ray."""


def draw_rays(
    rng: np.random.Generator, shape: tuple[int, ...], *, num_rays: int = NUM_RAYS
) -> RayDraws:
    """Draw the random numbers of links.

    Parameters
    ----------
    rng
        Generator addressed by (seed, ANGULAR_SPREAD, ue), with one link per site: a UE then keeps
        its random numbers for the whole run, whatever other UEs there are. Spreads and offsets
        follow distance and LOS state, and the rays rotate with the direct path. In TR 38.901 they
        change with position instead; here the gain is a function of client and position without
        history (our choice), and a link with a wide or narrow spread keeps it for a run.
    shape
        Shape of the links.
    num_rays
        Rays of a link, >= 1.
    """
    return RayDraws(
        spread_normal=rng.standard_normal((*shape, 2)),
        k_factor_normal=rng.standard_normal(shape),
        azimuth_normal=rng.standard_normal((*shape, num_rays)),
        zenith_laplace=rng.laplace(scale=0.5**0.5, size=(*shape, num_rays)),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LinkAngles:
    """Angles of departure of links at the site, and the split of their power."""

    azimuth_rad: Float[np.ndarray, "*link"]
    """Azimuth of the direct path, counter-clockwise from the x axis [rad]."""
    zenith_rad: Float[np.ndarray, "*link"]
    """Zenith angle of the direct path [rad]."""
    ray_azimuth_rad: Float[np.ndarray, "*link ray"]
    """Azimuth of the scattered rays [rad]."""
    ray_zenith_rad: Float[np.ndarray, "*link ray"]
    """Zenith angle of the scattered rays [rad]."""
    k_factor_linear: Float[np.ndarray, "*link"]
    """Power of the direct path over that of all rays; 0 without line of sight."""
    cross_polar_linear: Float[np.ndarray, "*link"]
    """Cross-polar over co-polar power of rays: the mean of 1 / XPR."""

    def of_sites(self, site_id: Int[np.ndarray, " some"]) -> "LinkAngles":
        """Return the links of clients to some of the sites; ``link`` is client and site."""
        return LinkAngles(
            azimuth_rad=self.azimuth_rad[:, site_id],
            zenith_rad=self.zenith_rad[:, site_id],
            ray_azimuth_rad=self.ray_azimuth_rad[:, site_id],
            ray_zenith_rad=self.ray_zenith_rad[:, site_id],
            k_factor_linear=self.k_factor_linear[:, site_id],
            cross_polar_linear=self.cross_polar_linear[:, site_id],
        )


def link_angles(
    environment: EnvironmentName,
    draws: RayDraws,
    *,
    azimuth_rad: Float[np.ndarray, "*link"],
    distance_2d_m: Float[np.ndarray, "*link"],
    is_los: Bool[np.ndarray, "*link"],
    is_indoor: Bool[np.ndarray, "*link"],
    carrier_hz: float,
    bs_height_m: ArrayLike,
    ue_height_m: ArrayLike,
) -> LinkAngles:
    """Return the angles of links: the direct path and the rays around it.

    Parameters
    ----------
    environment
        Sets spreads, zenith offset, K factor and cross-polar ratio.
    draws
        Random numbers of the same links, see :func:`draw_rays`.
    azimuth_rad
        Direction from the site to the UE [rad].
    distance_2d_m
        Ground distance [m], > 0.
    is_los, is_indoor
        State of the links; only outdoor links in line of sight have a direct path.
    carrier_hz
        Carrier [Hz]; UMa spreads below 6 GHz are those at 6 GHz.
    bs_height_m, ue_height_m
        Antenna heights [m]; broadcast with the distance.

    Notes
    -----
    Azimuths are normal with deviation ASD, zeniths Laplace with deviation ZSD around the direct
    path plus the zenith offset; lg ASD and lg ZSD are normal. Correlations between these
    quantities and with shadowing are neglected. The XPR of rays is lognormal; the cross-polar power
    is the mean over it, which exceeds that at the median.

    References
    ----------
    3GPP TR 38.901 version 16.1, Tables 7.5-6 to 7.5-10, equal to the copy in Sionna 2.2.0 (see the
    cross-check); version 19 has smaller azimuth spreads of UMa, later than the calibration of
    RP-180524. Averaging over rays instead of clusters is our choice.
    """
    place = _Place(
        distance_2d_m,
        is_los,
        is_indoor,
        carrier_hz / 1e9,
        np.asarray(bs_height_m, dtype=float),
        np.asarray(ue_height_m, dtype=float),
    )
    statistics = _STATISTICS[environment](place)
    asd_deg = _spread_deg(
        statistics.lg_azimuth, draws.spread_normal[..., 0], limit_deg=MAX_AZIMUTH_SPREAD_DEG
    )
    zsd_deg = _spread_deg(
        statistics.lg_zenith, draws.spread_normal[..., 1], limit_deg=MAX_ZENITH_SPREAD_DEG
    )
    zenith_rad = np.pi / 2 + np.arctan2(place.bs_height_m - place.ue_height_m, distance_2d_m)
    centre_rad = zenith_rad + np.radians(statistics.zenith_offset_deg)
    k_db = np.asarray(statistics.k_factor_db.mean) + (
        np.asarray(statistics.k_factor_db.sigma) * draws.k_factor_normal
    )
    return LinkAngles(
        azimuth_rad=azimuth_rad,
        zenith_rad=zenith_rad,
        ray_azimuth_rad=azimuth_rad[..., None]
        + np.radians(asd_deg)[..., None] * draws.azimuth_normal,
        ray_zenith_rad=centre_rad[..., None]
        + np.radians(zsd_deg)[..., None] * draws.zenith_laplace,
        k_factor_linear=np.where(is_los & ~is_indoor, db_to_linear(k_db), 0.0),
        cross_polar_linear=_mean_of_inverse(statistics.xpr_db),
    )


def mean_gain(
    pattern: Pattern,
    angles: LinkAngles,
    *,
    boresight_rad: Float[np.ndarray, " sector"],
) -> Float[np.ndarray, "*link sector"]:
    """Return the power gain of every sector of a site towards links, averaged over their rays.

    ``0.5 [K G(direct) + (1 + E[1/XPR]) mean G(rays)] / (K + 1)`` with one +45 degree port.

    Parameters
    ----------
    pattern
        Gain of one sector over its own boresight, for example
        :func:`netsim.channel.antenna.sector_gain_linear`.
    angles
        Directions of the links.
    boresight_rad
        Direction of each sector, counter-clockwise from the x axis [rad].
    """
    shape = angles.azimuth_rad.shape
    rays = angles.ray_azimuth_rad.shape[-1]
    ray_azimuth = angles.ray_azimuth_rad.reshape(-1, 1, rays)
    ray_zenith = angles.ray_zenith_rad.reshape(-1, 1, rays)
    scattered = np.empty((len(ray_azimuth), len(boresight_rad)))
    step = max(1, _CHUNK_ELEMENTS // (rays * len(boresight_rad)))
    for first in range(0, len(scattered), step):
        part = slice(first, first + step)
        gain = pattern(ray_azimuth[part] - boresight_rad[:, None], ray_zenith[part])
        scattered[part] = gain.mean(axis=-1)
    direct = pattern(angles.azimuth_rad[..., None] - boresight_rad, angles.zenith_rad[..., None])
    k = angles.k_factor_linear[..., None]
    both = 1 + angles.cross_polar_linear[..., None]
    total = k * direct + both * scattered.reshape(*shape, len(boresight_rad))
    return POLARISATION_LOSS * total / (k + 1)


class _Place(NamedTuple):
    """Geometry and state of links in the units of the tables."""

    distance_2d_m: Array
    is_los: npt.NDArray[np.bool_]
    is_indoor: npt.NDArray[np.bool_]
    carrier_ghz: float
    bs_height_m: Array
    ue_height_m: Array

    def by_state(self, los: ArrayLike, nlos: ArrayLike, indoor: ArrayLike) -> Array:
        """Return a value by the state of each link."""
        return np.where(self.is_indoor, indoor, np.where(self.is_los, los, nlos))


class _Statistics(NamedTuple):
    """Angular statistics of links."""

    lg_azimuth: Normal
    lg_zenith: Normal
    zenith_offset_deg: Array
    k_factor_db: Normal
    xpr_db: Normal


def _spread_deg(lg_spread: Normal, normal: Array, *, limit_deg: float) -> Array:
    exponent = np.asarray(lg_spread.mean) + np.asarray(lg_spread.sigma) * normal
    return np.minimum(10.0**exponent, limit_deg)


def _mean_of_inverse(ratio_db: Normal) -> Array:
    """Return the mean of ``1 / x`` for normal ``10 log10 x``: ``10^(-mean/10) exp(s^2 / 2)``."""
    sigma = np.log(10) / 10 * np.asarray(ratio_db.sigma)
    return np.asarray(db_to_linear(-np.asarray(ratio_db.mean, dtype=float)) * np.exp(sigma**2 / 2))


def _uma(place: _Place) -> _Statistics:
    lg_f = np.log10(max(place.carrier_ghz, 6.0))
    km = place.distance_2d_m / 1e3
    above_m = place.ue_height_m - 1.5
    offset_deg = (
        7.66 * lg_f
        - 5.96
        - 10.0
        ** (
            (0.208 * lg_f - 0.782) * np.log10(np.maximum(25.0, place.distance_2d_m))
            - 0.13 * lg_f
            + 2.03
            - 0.07 * above_m
        )
    )
    return _Statistics(
        lg_azimuth=Normal(
            place.by_state(1.06 + 0.1114 * lg_f, 1.5 - 0.1144 * lg_f, 1.25),
            place.by_state(0.28, 0.28, 0.42),
        ),
        # A UE indoors takes the zenith statistics of its outdoor path.
        lg_zenith=Normal(
            np.maximum(-0.5, -2.1 * km - 0.01 * above_m + np.where(place.is_los, 0.75, 0.9)),
            np.where(place.is_los, 0.40, 0.49),
        ),
        zenith_offset_deg=np.where(place.is_los, 0.0, offset_deg),
        k_factor_db=Normal(9.0, 3.5),
        xpr_db=Normal(place.by_state(8.0, 7.0, 9.0), place.by_state(4.0, 3.0, 5.0)),
    )


def _umi(place: _Place) -> _Statistics:
    lg_f = np.log10(1 + max(place.carrier_ghz, 2.0))
    km = place.distance_2d_m / 1e3
    rise_m = place.ue_height_m - place.bs_height_m
    los_mean = np.maximum(-0.21, -14.8 * km + 0.01 * np.abs(rise_m) + 0.83)
    nlos_mean = np.maximum(-0.5, -3.1 * km + 0.01 * np.maximum(rise_m, 0.0) + 0.2)
    offset_deg = -(10.0 ** (-1.5 * np.log10(np.maximum(10.0, place.distance_2d_m)) + 3.3))
    return _Statistics(
        lg_azimuth=Normal(
            place.by_state(1.21 - 0.05 * lg_f, 1.53 - 0.23 * lg_f, 1.25),
            place.by_state(0.41, 0.33 + 0.11 * lg_f, 0.42),
        ),
        lg_zenith=Normal(np.where(place.is_los, los_mean, nlos_mean), 0.35),
        zenith_offset_deg=np.where(place.is_los, 0.0, offset_deg),
        k_factor_db=Normal(9.0, 5.0),
        xpr_db=Normal(place.by_state(9.0, 8.0, 9.0), place.by_state(3.0, 3.0, 5.0)),
    )


def _rma(place: _Place) -> _Statistics:
    km = place.distance_2d_m / 1e3
    above_m = place.ue_height_m - 1.5
    is_los = place.is_los & ~place.is_indoor
    los_mean = np.maximum(-1.0, -0.17 * km - 0.01 * above_m + 0.22)
    nlos_mean = np.maximum(-1.0, -0.19 * km - 0.01 * above_m + 0.28)
    offset_deg = np.degrees(
        np.arctan((35.0 - 3.5) / place.distance_2d_m)
        - np.arctan((35.0 - 1.5) / place.distance_2d_m)
    )
    return _Statistics(
        lg_azimuth=Normal(place.by_state(0.90, 0.95, 0.67), place.by_state(0.38, 0.45, 0.18)),
        lg_zenith=Normal(np.where(is_los, los_mean, nlos_mean), np.where(is_los, 0.34, 0.30)),
        zenith_offset_deg=np.where(is_los, 0.0, offset_deg),
        k_factor_db=Normal(7.0, 4.0),
        xpr_db=Normal(place.by_state(12.0, 7.0, 7.0), place.by_state(4.0, 3.0, 3.0)),
    )


def _inh(place: _Place) -> _Statistics:
    lg_f = np.log10(1 + max(place.carrier_ghz, 6.0))
    return _Statistics(
        lg_azimuth=Normal(np.where(place.is_los, 1.60, 1.62), np.where(place.is_los, 0.18, 0.25)),
        lg_zenith=Normal(
            np.where(place.is_los, 2.228 - 1.43 * lg_f, 1.08),
            np.where(place.is_los, 0.30 + 0.13 * lg_f, 0.36),
        ),
        zenith_offset_deg=np.zeros(place.is_los.shape),
        k_factor_db=Normal(7.0, 4.0),
        xpr_db=Normal(np.where(place.is_los, 11.0, 10.0), 4.0),
    )


_STATISTICS = {"uma": _uma, "umi": _umi, "rma": _rma, "inh": _inh}
