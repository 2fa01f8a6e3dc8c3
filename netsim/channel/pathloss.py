"""Large-scale path loss of TR 38.901 clause 7.4.1: UMa, UMi street canyon, RMa, InH office.

All functions are pure and broadcast their arguments. Distances below the smallest of a model (10 m,
indoors 1 m) are evaluated there; distances beyond its largest follow the same formula, as
interferers of a large layout can be that far away.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from netsim.array_like import ArrayLike
from netsim.config.environment import MODEL_RANGES, EnvironmentName, check_carrier

LIGHT_SPEED_3GPP_MPS = 3.0e8
"""Speed of light as TR 38.901 rounds it in breakpoint distances."""

RMA_STREET_WIDTH_M = 20.0
RMA_BUILDING_HEIGHT_M = 5.0

Array = npt.NDArray[np.float64]


class _Link(NamedTuple):
    """Geometry of links in the units of the formulas: carrier in GHz, lengths in m."""

    distance_2d_m: Array
    distance_3d_m: Array
    carrier_ghz: float
    bs_height_m: Array
    ue_height_m: Array
    breakpoint_m: Array


def path_loss_db(
    environment: EnvironmentName,
    distance_2d_m: ArrayLike,
    *,
    is_los: ArrayLike,
    carrier_hz: float,
    bs_height_m: ArrayLike,
    ue_height_m: ArrayLike,
    effective_env_height_m: ArrayLike = 1.0,
) -> Float[np.ndarray, "..."]:
    """Return the median path loss [dB] of links, without shadowing, walls or antennas.

    Parameters
    ----------
    environment
        Which of the four models.
    distance_2d_m
        Ground distance [m], finite and >= 0; any shape.
    is_los
        True where the line of sight is free; broadcasts with the distance.
    carrier_hz
        Carrier [Hz], within the environment's range.
    bs_height_m, ue_height_m
        Antenna heights above ground [m]; broadcast with the distance.
    effective_env_height_m
        Effective environment height h_E of UMa [m]: 1 below 13 m UE height, else the result of
        :func:`uma_environment_height_m`. UMi is always 1; RMa and InH do not use it.

    Returns
    -------
    array
        Path loss [dB], the broadcast shape. NLOS is never below LOS (``max(PL_LOS, PL')``).

    Raises
    ------
    ValueError
        If the carrier is beyond the model, a distance is negative or not finite, or a height is
        not above the effective environment height.

    Notes
    -----
    The RMa LOS loss has a step of about 0.007 dB at the breakpoint: the standard switches on the
    ground distance and evaluates on the 3D distance. It is kept.

    References
    ----------
    3GPP TR 38.901, clause 7.4.1, Table 7.4.1-1 (formulas as coded in ns-3 and Sionna).

    Examples
    --------
    >>> heights = {"bs_height_m": 25.0, "ue_height_m": 1.5}
    >>> loss = path_loss_db("uma", 100.0, is_los=[True, False], carrier_hz=3.5e9, **heights)
    >>> loss.round(3).tolist()
    [83.138, 103.038]
    """
    check_carrier(environment, carrier_hz)
    link = _link(
        environment,
        distance_2d_m,
        carrier_hz=carrier_hz,
        bs_height_m=bs_height_m,
        ue_height_m=ue_height_m,
        effective_env_height_m=effective_env_height_m,
    )
    los_db = _LOS[environment](link)
    nlos_db = np.maximum(los_db, _NLOS[environment](link))
    return np.asarray(np.where(np.asarray(is_los, dtype=bool), los_db, nlos_db))


def breakpoint_distance_m(
    environment: EnvironmentName,
    *,
    carrier_hz: float,
    bs_height_m: ArrayLike,
    ue_height_m: ArrayLike,
    effective_env_height_m: ArrayLike = 1.0,
) -> Float[np.ndarray, "..."]:
    """Return the breakpoint distance [m] of the LOS path loss along the ground; inf for InH.

    UMa and UMi: ``4 (h_BS - h_E)(h_UT - h_E) f / c``; RMa: ``2 pi h_BS h_UT f / c``, c = 3e8 m/s.

    References
    ----------
    3GPP TR 38.901, Table 7.4.1-1, notes 1 and 5.
    """
    bs_m, ue_m = np.asarray(bs_height_m, dtype=float), np.asarray(ue_height_m, dtype=float)
    if environment == "inh":
        return np.full(np.broadcast_shapes(bs_m.shape, ue_m.shape), np.inf)
    if environment == "rma":
        return np.asarray(2 * np.pi * bs_m * ue_m * carrier_hz / LIGHT_SPEED_3GPP_MPS)
    env_m = 1.0 if environment == "umi" else np.asarray(effective_env_height_m, dtype=float)
    lowest_m = np.minimum(bs_m - env_m, ue_m - env_m)
    if np.any(lowest_m <= 0):
        msg = (
            "ue_height_m: must be above the effective environment height, "
            f"got {np.min(lowest_m):g} m above it"
        )
        raise ValueError(msg)
    return np.asarray(4 * (bs_m - env_m) * (ue_m - env_m) * carrier_hz / LIGHT_SPEED_3GPP_MPS)


def uma_environment_height_m(
    distance_2d_m: ArrayLike,
    *,
    ue_height_m: ArrayLike,
    uniform: ArrayLike,
) -> Float[np.ndarray, "..."]:
    """Return the effective environment height h_E [m] of UMa links from uniform numbers.

    1 m with probability ``1 / (1 + C)``, else uniform on {12, 15, ..., h_UT - 1.5}. C is 0 for
    UEs below 13 m, which then always get 1 m.

    Parameters
    ----------
    distance_2d_m
        Ground distance [m].
    ue_height_m
        UE height [m], up to 22.5.
    uniform
        Numbers in [0, 1), one per link; the caller draws them from an addressed stream.

    References
    ----------
    3GPP TR 38.901, Table 7.4.1-1, note 1.
    """
    distance_m, ue_m, draw = np.broadcast_arrays(
        np.asarray(distance_2d_m, dtype=float), ue_height_m, uniform
    )
    shape = 1.25 * (distance_m / 100) ** 3 * np.exp(-distance_m / 150)
    excess = (np.maximum(ue_m - 13, 0) / 10) ** 1.5 * np.where(distance_m <= 18, 0.0, shape)
    probability = 1 / (1 + excess)
    # Number of levels 12, 15, ... up to h_UT - 1.5; just above 13 m there is none and 1 m stays.
    num_levels = np.floor((ue_m - 1.5 - 12) / 3).astype(int) + 1
    share = (draw - probability) / np.maximum(1 - probability, 1e-300)
    level = np.minimum(np.floor(share * num_levels), num_levels - 1)
    return np.where((draw < probability) | (num_levels < 1), 1.0, 12.0 + 3.0 * level)


def _link(
    environment: EnvironmentName,
    distance_2d_m: ArrayLike,
    *,
    carrier_hz: float,
    bs_height_m: ArrayLike,
    ue_height_m: ArrayLike,
    effective_env_height_m: ArrayLike,
) -> _Link:
    distance_m = np.asarray(distance_2d_m, dtype=float)
    if distance_m.size and not (np.min(distance_m) >= 0 and np.all(np.isfinite(distance_m))):
        msg = f"distance_2d_m: must be finite and >= 0, got minimum {np.min(distance_m)}"
        raise ValueError(msg)
    bs_m = np.asarray(bs_height_m, dtype=float)
    ue_m = np.asarray(ue_height_m, dtype=float)
    nearest_m, _ = MODEL_RANGES[environment].distance_2d_m
    distance_m = np.maximum(distance_m, nearest_m)
    return _Link(
        distance_m,
        np.hypot(distance_m, bs_m - ue_m),
        carrier_hz / 1e9,
        bs_m,
        ue_m,
        breakpoint_distance_m(
            environment,
            carrier_hz=carrier_hz,
            bs_height_m=bs_m,
            ue_height_m=ue_m,
            effective_env_height_m=effective_env_height_m,
        ),
    )


def _two_slope(
    link: _Link, *, intercept_db: float, near_exponent: float, breakpoint_factor: float
) -> Array:
    """Two-slope LOS loss of UMa and UMi: 10 n dB a decade, 40 dB beyond the breakpoint."""
    decades = np.log10(link.distance_3d_m)
    base_db = intercept_db + 20 * np.log10(link.carrier_ghz)
    corner_m2 = link.breakpoint_m**2 + (link.bs_height_m - link.ue_height_m) ** 2
    return np.where(
        link.distance_2d_m <= link.breakpoint_m,
        base_db + 10 * near_exponent * decades,
        base_db + 40 * decades - breakpoint_factor * np.log10(corner_m2),
    )


def _uma_los(link: _Link) -> Array:
    return _two_slope(link, intercept_db=28.0, near_exponent=2.2, breakpoint_factor=9.0)


def _umi_los(link: _Link) -> Array:
    return _two_slope(link, intercept_db=32.4, near_exponent=2.1, breakpoint_factor=9.5)


def _rma_los(link: _Link) -> Array:
    height = RMA_BUILDING_HEIGHT_M

    def near_db(distance_m: Array) -> Array:
        return np.asarray(
            20 * np.log10(40 * np.pi * distance_m * link.carrier_ghz / 3)
            + min(0.03 * height**1.72, 10) * np.log10(distance_m)
            - min(0.044 * height**1.72, 14.77)
            + 0.002 * np.log10(height) * distance_m
        )

    beyond_db = near_db(link.breakpoint_m) + 40 * np.log10(link.distance_3d_m / link.breakpoint_m)
    return np.where(link.distance_2d_m <= link.breakpoint_m, near_db(link.distance_3d_m), beyond_db)


def _inh_los(link: _Link) -> Array:
    return 32.4 + 17.3 * np.log10(link.distance_3d_m) + 20 * np.log10(link.carrier_ghz)


def _uma_nlos(link: _Link) -> Array:
    return (
        13.54
        + 39.08 * np.log10(link.distance_3d_m)
        + 20 * np.log10(link.carrier_ghz)
        - 0.6 * (link.ue_height_m - 1.5)
    )


def _umi_nlos(link: _Link) -> Array:
    return (
        22.4
        + 35.3 * np.log10(link.distance_3d_m)
        + 21.3 * np.log10(link.carrier_ghz)
        - 0.3 * (link.ue_height_m - 1.5)
    )


def _rma_nlos(link: _Link) -> Array:
    height, bs_m = RMA_BUILDING_HEIGHT_M, link.bs_height_m
    return (
        161.04
        - 7.1 * np.log10(RMA_STREET_WIDTH_M)
        + 7.5 * np.log10(height)
        - (24.37 - 3.7 * (height / bs_m) ** 2) * np.log10(bs_m)
        + (43.42 - 3.1 * np.log10(bs_m)) * (np.log10(link.distance_3d_m) - 3)
        + 20 * np.log10(link.carrier_ghz)
        - (3.2 * np.log10(11.75 * link.ue_height_m) ** 2 - 4.97)
    )


def _inh_nlos(link: _Link) -> Array:
    return 17.3 + 38.3 * np.log10(link.distance_3d_m) + 24.9 * np.log10(link.carrier_ghz)


_Formula = Callable[[_Link], Array]
_LOS: dict[EnvironmentName, _Formula] = {
    "uma": _uma_los,
    "umi": _umi_los,
    "rma": _rma_los,
    "inh": _inh_los,
}
_NLOS: dict[EnvironmentName, _Formula] = {
    "uma": _uma_nlos,
    "umi": _umi_nlos,
    "rma": _rma_nlos,
    "inh": _inh_nlos,
}
