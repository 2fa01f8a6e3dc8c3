"""Doppler frequency and Jakes correlation."""

import numpy as np
from jaxtyping import Float
from scipy.constants import speed_of_light
from scipy.special import j0

from netsim.array_like import ArrayLike


def doppler_hz(speed_mps: ArrayLike, *, carrier_hz: float) -> Float[np.ndarray, "..."]:
    """Return the maximum Doppler frequency [Hz] at a speed [m/s]: v f / c.

    Examples
    --------
    >>> float(doppler_hz(3 / 3.6, carrier_hz=3.5e9).round(3))
    9.729
    """
    return np.asarray(np.abs(np.asarray(speed_mps, dtype=float)) * carrier_hz / speed_of_light)


def jakes_correlation(lag_s: ArrayLike, *, doppler_hz: ArrayLike) -> Float[np.ndarray, "..."]:
    """Return the correlation of the complex gain over a lag [s]: J0(2 pi f_d lag).

    References
    ----------
    Clarke's isotropic scattering model; Jakes, "Microwave mobile communications", 1974.
    """
    return np.asarray(j0(2 * np.pi * np.asarray(doppler_hz) * np.asarray(lag_s)))
