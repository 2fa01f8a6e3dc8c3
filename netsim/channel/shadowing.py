"""Shadow fading: standard deviation, spatial correlation, correlation between sites."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from netsim.array_like import ArrayLike
from netsim.channel.spatial_field import GaussianField
from netsim.config.environment import EnvironmentName
from netsim.streams import Purpose, stream

LinkState = Literal["los", "nlos", "indoor"]
LINK_STATES: tuple[LinkState, ...] = ("los", "nlos", "indoor")

SHADOW_SIGMA_DB: dict[EnvironmentName, dict[LinkState, float]] = {
    "uma": {"los": 4.0, "nlos": 6.0, "indoor": 7.0},
    "umi": {"los": 4.0, "nlos": 7.82, "indoor": 7.0},
    "rma": {"los": 4.0, "nlos": 8.0, "indoor": 8.0},
    "inh": {"los": 3.0, "nlos": 8.03, "indoor": 8.03},
}
"""Standard deviation [dB], TR 38.901 Tables 7.4.1-1 and 7.5-6.

``indoor`` is a UE inside a building seen from an outdoor site (O2I); InH has none and repeats NLOS.
"""

RMA_SIGMA_BEYOND_BREAKPOINT_DB = 6.0
"""Standard deviation of RMa LOS links beyond the breakpoint, TR 38.901 Table 7.4.1-1."""

SHADOW_CORRELATION_M: dict[EnvironmentName, dict[LinkState, float]] = {
    "uma": {"los": 37.0, "nlos": 50.0, "indoor": 7.0},
    "umi": {"los": 10.0, "nlos": 13.0, "indoor": 7.0},
    "rma": {"los": 37.0, "nlos": 120.0, "indoor": 120.0},
    "inh": {"los": 10.0, "nlos": 6.0, "indoor": 6.0},
}
"""Correlation distance in the horizontal plane [m], TR 38.901 Table 7.5-6.

InH is recollected, and the same in another simulator's transcription of version 16.
"""

COMMON_FIELD_KEY = 0
"""Stream key of the field common to all sites; the field of site i has key i + 1."""


def shadow_sigma_db(
    environment: EnvironmentName,
    *,
    is_los: ArrayLike,
    is_indoor: ArrayLike = False,
    is_beyond_breakpoint: ArrayLike = False,
) -> Float[np.ndarray, "..."]:
    """Return the standard deviation of shadow fading [dB], the broadcast shape of the arguments.

    Parameters
    ----------
    environment
        Which of the four environments.
    is_los
        True for links in line of sight.
    is_indoor
        True for UEs inside a building; takes precedence over ``is_los``.
    is_beyond_breakpoint
        True beyond the RMa breakpoint; other environments do not depend on it.

    References
    ----------
    3GPP TR 38.901, Tables 7.4.1-1 and 7.5-6.
    """
    sigma_db = SHADOW_SIGMA_DB[environment]
    los_db: ArrayLike = sigma_db["los"]
    if environment == "rma":
        los_db = np.where(is_beyond_breakpoint, RMA_SIGMA_BEYOND_BREAKPOINT_DB, sigma_db["los"])
    outdoor_db = np.where(is_los, los_db, sigma_db["nlos"])
    return np.asarray(np.where(is_indoor, sigma_db["indoor"], outdoor_db))


class ShadowingMap:
    """Shadow fading of every (site, position), a pure function of the seed.

    LOS, NLOS and indoor links of a site have separate fields, as their correlation distances
    differ. Sectors of a site have the same value.

    Parameters
    ----------
    seed
        Root seed of the run; streams are (seed, SHADOWING, state, site + 1), and (.., 0) for the
        common field.
    environment
        Sets standard deviation and correlation distance.
    num_sites
        Number of sites, >= 1.
    inter_site_correlation
        0 for independent sites (TR 38.901, the default) or for example 0.5 (TR 36.814 A.2.1.1):
        ``S_i = sigma (sqrt(r) Z_common + sqrt(1 - r) Z_i)``. In [0, 1].
    """

    def __init__(
        self,
        seed: int,
        environment: EnvironmentName,
        *,
        num_sites: int,
        inter_site_correlation: float = 0.0,
    ) -> None:
        if not 0.0 <= inter_site_correlation <= 1.0:
            msg = f"inter_site_correlation: must be within 0 and 1, got {inter_site_correlation}"
            raise ValueError(msg)
        self._environment = environment
        self._num_sites = num_sites
        self._correlation = inter_site_correlation
        self._fields = [
            [self._field(seed, state, key) for key in range(num_sites + 1)] for state in LINK_STATES
        ]

    def _field(self, seed: int, state: LinkState, key: int) -> GaussianField:
        return GaussianField(
            stream(seed, Purpose.SHADOWING, LINK_STATES.index(state), key),
            correlation_m=SHADOW_CORRELATION_M[self._environment][state],
        )

    def standard_value(
        self,
        position_m: Float[np.ndarray, "point 2"],
        *,
        is_los: Bool[np.ndarray, "point site"],
        is_indoor: Bool[np.ndarray, " point"],
    ) -> Float[np.ndarray, "point site"]:
        """Return the shadowing divided by its standard deviation (zero mean, unit variance)."""
        indoor = np.broadcast_to(is_indoor[:, None], is_los.shape)
        masks = (is_los & ~indoor, ~is_los & ~indoor, indoor)
        value = np.zeros(is_los.shape)
        for fields, mask in zip(self._fields, masks, strict=True):
            if not mask.any():
                continue
            if self._correlation > 0:
                rows = mask.any(axis=1)
                common = np.zeros(len(position_m))
                common[rows] = fields[COMMON_FIELD_KEY].value(position_m[rows])
                value += np.where(mask, np.sqrt(self._correlation) * common[:, None], 0.0)
            if self._correlation < 1:
                weight = np.sqrt(1 - self._correlation)
                for site in range(self._num_sites):
                    rows = mask[:, site]
                    value[rows, site] += weight * fields[site + 1].value(position_m[rows])
        return value

    def value_db(
        self,
        position_m: Float[np.ndarray, "point 2"],
        *,
        is_los: Bool[np.ndarray, "point site"],
        is_indoor: Bool[np.ndarray, " point"],
        is_beyond_breakpoint: ArrayLike = False,
    ) -> Float[np.ndarray, "point site"]:
        """Return the shadow loss [dB] between the positions and all sites; positive is more loss.

        Parameters
        ----------
        position_m
            UE positions [m].
        is_los
            State of every link, see :class:`netsim.channel.line_of_sight.LineOfSightMap`.
        is_indoor
            True for UEs inside a building.
        is_beyond_breakpoint
            For RMa, True beyond :func:`netsim.channel.pathloss.breakpoint_distance_m`.
        """
        sigma_db = shadow_sigma_db(
            self._environment,
            is_los=is_los,
            is_indoor=is_indoor[:, None],
            is_beyond_breakpoint=is_beyond_breakpoint,
        )
        return sigma_db * self.standard_value(position_m, is_los=is_los, is_indoor=is_indoor)
