"""Antenna patterns of base stations: the TR 38.901 element in a tilted vertical array, and omni."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Interval
from jaxtyping import Float

from netsim.units import db_to_linear

SECTOR_BORESIGHTS_DEG = (30.0, 150.0, 270.0)
"""Directions of the three sectors of a site, counter-clockwise from the x axis."""


@dataclass(frozen=True, kw_only=True)
class SectorAntenna:
    """A vertical array of TR 38.901 elements (Table 7.3-1) with electrical tilt.

    A 3-sector site of a macro layout uses one for each sector.
    """

    num_vertical: Annotated[int, Ge(1)] = 8
    """Elements of the array, all fed by one port."""
    spacing_wavelengths: Annotated[float, Gt(0)] = 0.8
    """Distance between elements [wavelengths]."""
    tilt_deg: Annotated[float, Interval(ge=0, le=180)] = 99.0
    """Zenith angle the array points at [deg]; 90 is the horizon, more looks down."""
    element_gain_db: float = 8.0
    """Largest gain of one element [dBi]."""
    beamwidth_deg: Annotated[float, Gt(0)] = 65.0
    """Half-power beam width of an element, in azimuth and zenith [deg]."""
    max_attenuation_db: Annotated[float, Gt(0)] = 30.0
    """Floor of the element pattern below its maximum [dB]."""
    kind: Literal["sector"] = "sector"

    def vertical_attenuation_db(
        self, zenith_rad: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Give the element's vertical cut [dB], >= 0: ``min(12 ((theta - 90) / 65)^2, 30)``."""
        return _parabola_db(np.degrees(zenith_rad) - 90.0, self)

    def horizontal_attenuation_db(
        self, azimuth_rad: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Give the element's horizontal cut [dB], >= 0, over the angle from boresight."""
        wrapped_deg = (np.degrees(azimuth_rad) + 180.0) % 360.0 - 180.0
        return _parabola_db(wrapped_deg, self)

    def array_factor(self, zenith_rad: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Give the power gain of the array over one element, up to ``num_vertical`` at the tilt.

        ``|sum_m exp(j 2 pi d m (cos theta - cos tilt))|^2 / num_vertical``, in closed form.
        """
        turn_rad = (
            2
            * np.pi
            * self.spacing_wavelengths
            * (np.cos(zenith_rad) - np.cos(np.radians(self.tilt_deg)))
        )
        below = np.sin(turn_rad / 2)
        at_peak = np.abs(below) < 1e-9
        ratio = np.sin(self.num_vertical * turn_rad / 2) / np.where(at_peak, 1.0, below)
        return np.where(at_peak, float(self.num_vertical), ratio**2 / self.num_vertical)

    def gain_linear(
        self, azimuth_rad: Float[np.ndarray, "..."], zenith_rad: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Give the power gain over isotropic; the arguments broadcast.

        Parameters
        ----------
        azimuth_rad
            Angle from boresight in the horizontal plane [rad], any turn.
        zenith_rad
            Angle from straight up [rad]; pi/2 is the horizon.

        References
        ----------
        3GPP TR 38.901, clause 7.3, Table 7.3-1.
        """
        attenuation_db = np.minimum(
            self.vertical_attenuation_db(zenith_rad) + self.horizontal_attenuation_db(azimuth_rad),
            self.max_attenuation_db,
        )
        return db_to_linear(self.element_gain_db - attenuation_db) * self.array_factor(zenith_rad)


@dataclass(frozen=True, kw_only=True)
class OmniAntenna:
    """The same gain in every direction."""

    gain_db: float = 0.0
    """Gain over isotropic [dBi]."""
    kind: Literal["omni"] = "omni"

    def gain_linear(
        self, azimuth_rad: Float[np.ndarray, "..."], zenith_rad: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Give the power gain over isotropic, the broadcast shape of the angles."""
        shape = np.broadcast_shapes(np.shape(azimuth_rad), np.shape(zenith_rad))
        return np.full(shape, db_to_linear(self.gain_db))


Antenna = SectorAntenna | OmniAntenna


def _parabola_db(angle_deg: Float[np.ndarray, "..."], antenna: SectorAntenna) -> np.ndarray:
    return np.minimum(12 * (angle_deg / antenna.beamwidth_deg) ** 2, antenna.max_attenuation_db)
