"""Gaussian random fields over the plane as pure functions of position.

A field is a finite sum of plane waves drawn once: the same position has the same value, in whatever
order positions are evaluated.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

_CHUNK_ELEMENTS = 2_000_000
"""Points times waves evaluated at once: 16 MB of doubles."""


class GaussianField:
    """Field with zero mean, unit variance and correlation ``exp(-distance / correlation_m)``.

    Parameters
    ----------
    rng
        Generator of the waves, addressed by (seed, purpose, site).
    correlation_m
        Distance at which the correlation is 1/e [m], > 0.
    num_waves
        Number of plane waves, >= 1. The excess kurtosis of the value is ``-1.5 / num_waves``.

    Raises
    ------
    ValueError
        If ``correlation_m`` or ``num_waves`` is out of range.

    Notes
    -----
    Value ``sqrt(2 / N) sum_n cos(k_n . x + phi_n)`` with uniform directions and phases. The
    spectral density of the 2-D exponential covariance is ``(1 + (k d)^2)^(-3/2)``, hence the
    radial wavenumber is ``sqrt(1 / u^2 - 1) / d`` with u uniform: over the ensemble of seeds mean,
    variance and correlation are exact for any N.

    References
    ----------
    Shinozuka and Jan, "Digital simulation of random processes and its applications", J. Sound and
    Vibration 25(1), 1972 (recollected); the exponential covariance is that of Gudmundson 1991, as
    used in TR 38.901 clause 7.4.4.
    """

    def __init__(
        self, rng: np.random.Generator, *, correlation_m: float, num_waves: int = 128
    ) -> None:
        if not (np.isfinite(correlation_m) and correlation_m > 0):
            msg = f"correlation_m: must be finite and > 0, got {correlation_m}"
            raise ValueError(msg)
        if num_waves < 1:
            msg = f"num_waves: must be >= 1, got {num_waves}"
            raise ValueError(msg)
        self.correlation_m = correlation_m
        share = 1.0 - rng.random(num_waves)  # (0, 1]: the wavenumber stays finite
        angle_rad = rng.uniform(0.0, 2 * np.pi, num_waves)
        wavenumber = np.sqrt(1.0 / share**2 - 1.0) / correlation_m
        direction = np.stack([np.cos(angle_rad), np.sin(angle_rad)])
        self._wave_per_m = wavenumber / (2 * np.pi) * direction
        self._phase_cycles = rng.random(num_waves)

    def value(self, position_m: Float[np.ndarray, "*point 2"]) -> Float[np.ndarray, "*point"]:
        """Return the field at positions [m]: standard normal over seeds."""
        points = position_m.reshape(-1, 2)
        num_waves = self._phase_cycles.size
        values = np.empty(len(points))
        step = max(1, _CHUNK_ELEMENTS // num_waves)
        for first in range(0, len(points), step):
            values[first : first + step] = self._sum_of_waves(points[first : first + step])
        return (values * np.sqrt(2.0 / num_waves)).reshape(position_m.shape[:-1])

    def _sum_of_waves(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, " point"]:
        # No matrix product: its rounding depends on the number of points.
        cycles = points[:, :1] * self._wave_per_m[0]
        cycles += points[:, 1:] * self._wave_per_m[1]
        cycles += self._phase_cycles
        # Whole cycles are removed in double precision; the cosine is then exact to 1e-6 in single.
        cycles -= np.rint(cycles)
        phase_rad = cycles.astype(np.float32)
        phase_rad *= np.float32(2 * np.pi)
        np.cos(phase_rad, out=phase_rad)
        return phase_rad.sum(axis=1)

    def uniform(self, position_m: Float[np.ndarray, "*point 2"]) -> Float[np.ndarray, "*point"]:
        """Return the field mapped to (0, 1): uniform over seeds, consistent in space."""
        return np.asarray(ndtr(self.value(position_m)))
