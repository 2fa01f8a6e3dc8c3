"""Thermal noise of a receiver."""

import numpy as np
from jaxtyping import Float

from netsim.array_like import ArrayLike
from netsim.units import dbm_to_w

NOISE_DENSITY_DBM_PER_HZ = -174.0
"""Thermal noise density as the standards round it; kT at 290 K is -173.975 dBm/Hz."""


def noise_power_w(bandwidth_hz: ArrayLike, *, noise_figure_db: float) -> Float[np.ndarray, "..."]:
    """Return the noise power [W] of a receiver: -174 dBm/Hz times bandwidth, plus noise figure.

    Parameters
    ----------
    bandwidth_hz
        Occupied bandwidth [Hz] (12 subcarriers a resource block), not the channel's; >= 0.
    noise_figure_db
        Noise figure [dB].

    Examples
    --------
    >>> from netsim.units import w_to_dbm
    >>> round(w_to_dbm(noise_power_w(12 * 30e3, noise_figure_db=0.0)), 3)
    -118.437
    """
    bandwidth = np.asarray(bandwidth_hz, dtype=float)
    if np.any(~(bandwidth >= 0)):
        msg = f"bandwidth_hz: must be >= 0, got minimum {np.min(bandwidth)}"
        raise ValueError(msg)
    return np.asarray(dbm_to_w(NOISE_DENSITY_DBM_PER_HZ + noise_figure_db) * bandwidth)
