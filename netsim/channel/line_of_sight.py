"""Line-of-sight probability, and spatially consistent line-of-sight states."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float

from netsim.array_like import ArrayLike
from netsim.channel.spatial_field import GaussianField
from netsim.config.environment import EnvironmentName
from netsim.streams import Purpose, stream

Office = Literal["mixed", "open"]
"""Kind of indoor office: mixed (walls) or open."""

LOS_CORRELATION_M: dict[EnvironmentName, float] = {
    "uma": 50.0,
    "umi": 50.0,
    "rma": 60.0,
    "inh": 10.0,
}
"""Correlation distance of the LOS state [m], TR 38.901 Table 7.6.3.1-2 (recollected)."""

Array = npt.NDArray[np.float64]


def los_probability(
    environment: EnvironmentName,
    distance_2d_m: ArrayLike,
    *,
    ue_height_m: ArrayLike,
    office: Office = "mixed",
) -> Float[np.ndarray, "..."]:
    """Return the probability that a link has a free line of sight.

    Parameters
    ----------
    environment
        Which of the four environments.
    distance_2d_m
        Ground distance [m], >= 0; for a UE in a building its outdoor part.
    ue_height_m
        UE antenna height [m]; only UMa depends on it, above 13 m.
    office
        Kind of office; only InH depends on it.

    Returns
    -------
    array
        Probability in [0, 1], the broadcast shape of distance and height.

    References
    ----------
    3GPP TR 38.901, clause 7.4.2, Table 7.4.2-1.

    Examples
    --------
    >>> los_probability("umi", [10.0, 100.0], ue_height_m=1.5).round(5).tolist()
    [1.0, 0.23098]
    """
    distance_m, height_m = np.asarray(distance_2d_m, float), np.asarray(ue_height_m, float)
    if distance_m.shape != height_m.shape and height_m.ndim:
        distance_m, height_m = np.broadcast_arrays(distance_m, height_m)
    if not (distance_m >= 0).all():
        msg = f"distance_2d_m: must be >= 0, got minimum {np.min(distance_m)}"
        raise ValueError(msg)
    if environment == "inh":
        return _OFFICE[office](distance_m)
    if environment == "rma":
        return np.asarray(np.exp(-np.maximum(distance_m - 10, 0) / 1000))
    far_m = np.maximum(distance_m, 18.0)
    if environment == "umi":
        return np.asarray(18 / far_m + np.exp(-far_m / 36) * (1 - 18 / far_m))
    ground = 18 / far_m + np.exp(-far_m / 63) * (1 - 18 / far_m)
    if (height_m > 13).any():
        growth = (np.maximum(height_m - 13, 0) / 10) ** 1.5
        ground = ground * (1 + growth * 1.25 * (far_m / 100) ** 3 * np.exp(-far_m / 150))
    return np.where(distance_m <= 18, 1.0, ground)


def _mixed_office(distance_m: Array) -> Array:
    return np.where(
        distance_m < 6.5,
        np.exp(-np.maximum(distance_m - 1.2, 0) / 4.7),
        0.32 * np.exp(-(distance_m - 6.5) / 32.6),
    )


def _open_office(distance_m: Array) -> Array:
    return np.where(
        distance_m <= 49,
        np.exp(-np.maximum(distance_m - 5, 0) / 70.8),
        0.54 * np.exp(-(distance_m - 49) / 211.7),
    )


_OFFICE: dict[Office, Callable[[Array], Array]] = {"mixed": _mixed_office, "open": _open_office}


class LineOfSightMap:
    """LOS state of every (site, position): LOS where a site's uniform field is below p.

    A static UE keeps its state; that of a moving UE changes over tens of metres.

    Parameters
    ----------
    seed
        Root seed of the run; the stream of a site is (seed, LINE_OF_SIGHT, site).
    environment
        Sets the correlation distance and the probability.
    num_sites
        Number of sites, >= 1; the sectors of a site share its state.
    office
        Kind of office for InH.
    """

    def __init__(
        self, seed: int, environment: EnvironmentName, *, num_sites: int, office: Office = "mixed"
    ) -> None:
        self._environment = environment
        self._office: Office = office
        self._fields = [
            GaussianField(
                stream(seed, Purpose.LINE_OF_SIGHT, site),
                correlation_m=LOS_CORRELATION_M[environment],
            )
            for site in range(num_sites)
        ]

    def is_los(
        self,
        position_m: Float[np.ndarray, "point 2"],
        *,
        distance_2d_m: Float[np.ndarray, "point site"],
        ue_height_m: float | Float[np.ndarray, "point 1"],
    ) -> Bool[np.ndarray, "point site"]:
        """Return whether each link between the positions and the sites is in line of sight.

        Parameters
        ----------
        position_m
            UE positions [m].
        distance_2d_m
            Ground distance to every site [m], its outdoor part for UEs in a building.
        ue_height_m
            UE antenna height [m].
        """
        uniform = np.array([field.uniform(position_m) for field in self._fields]).T
        probability = los_probability(
            self._environment, distance_2d_m, ue_height_m=ue_height_m, office=self._office
        )
        return np.asarray(uniform < probability)
