"""Antenna pattern of a sector: the TR 38.901 element in a tilted vertical column."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from netsim.units import db_to_linear

ELEMENT_GAIN_DBI = 8.0
BEAMWIDTH_DEG = 65.0
MAX_ATTENUATION_DB = 30.0
"""Element of TR 38.901 Table 7.3-1."""


@runtime_checkable
class Pattern(Protocol):
    """Power gain of an antenna relative to its boresight direction."""

    def __call__(
        self, azimuth_rad: Float[np.ndarray, "..."], zenith_rad: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Return the linear gain over isotropic; azimuth from boresight, zenith angle [rad]."""
        ...


def sector_gain_linear(
    azimuth_rad: Float[np.ndarray, "..."],
    zenith_rad: Float[np.ndarray, "..."],
    *,
    num_elements: int = 8,
    element_spacing_wavelengths: float = 0.8,
    zenith_deg: float = 99.0,
) -> Float[np.ndarray, "..."]:
    """Return the power gain of a sector antenna over isotropic; angles broadcast.

    Parameters
    ----------
    azimuth_rad
        Angle from boresight in the horizontal plane [rad], any number of turns.
    zenith_rad
        Zenith angle [rad]; pi/2 is the horizon.
    num_elements
        Elements of the vertical column, all fed by one port, >= 1.
    element_spacing_wavelengths
        Distance between elements, > 0.
    zenith_deg
        Electrical steering of the column as a zenith angle; above 90 it points below the horizon.

    Returns
    -------
    array
        Gain from 0 (nulls of the column) to 8 dBi + 10 log10(num_elements).

    References
    ----------
    3GPP TR 38.901, clause 7.3, Table 7.3-1; column of elements after TR 36.873 (recollected).

    Examples
    --------
    >>> peak = sector_gain_linear(np.array(0.0), np.radians(90.0), zenith_deg=90.0)
    >>> round(float(10 * np.log10(peak)), 2)
    17.03
    """
    attenuation_db = np.minimum(
        vertical_attenuation_db(zenith_rad) + horizontal_attenuation_db(azimuth_rad),
        MAX_ATTENUATION_DB,
    )
    column = column_gain_linear(
        zenith_rad,
        num_elements=num_elements,
        element_spacing_wavelengths=element_spacing_wavelengths,
        zenith_deg=zenith_deg,
    )
    return np.asarray(db_to_linear(ELEMENT_GAIN_DBI - attenuation_db) * column)


def column_gain_linear(
    zenith_rad: Float[np.ndarray, "..."],
    *,
    num_elements: int,
    element_spacing_wavelengths: float,
    zenith_deg: float,
) -> Float[np.ndarray, "..."]:
    """Return the power gain of the column over one element; at most ``num_elements``.

    ``|sum_m exp(j 2 pi d m (cos theta - cos theta_t))|^2 / num_elements``, in closed form.
    """
    phase_rad = (
        2
        * np.pi
        * element_spacing_wavelengths
        * (np.cos(zenith_rad) - np.cos(np.radians(zenith_deg)))
    )
    denominator = np.asarray(np.sin(phase_rad / 2))
    is_steered = np.abs(denominator) < 1e-9
    ratio = np.sin(num_elements * phase_rad / 2) / np.where(is_steered, 1.0, denominator)
    return np.where(is_steered, float(num_elements), ratio**2 / num_elements)


def vertical_attenuation_db(zenith_rad: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return the vertical cut of an element [dB], >= 0: ``min(12 ((theta - 90) / 65)^2, 30)``."""
    return _parabola_db(np.degrees(zenith_rad) - 90.0)


def horizontal_attenuation_db(azimuth_rad: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return the horizontal cut of an element [dB], >= 0, over the angle from boresight."""
    return _parabola_db((np.degrees(azimuth_rad) + 180.0) % 360.0 - 180.0)


def _parabola_db(angle_deg: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.minimum(12 * (angle_deg / BEAMWIDTH_DEG) ** 2, MAX_ATTENUATION_DB)
