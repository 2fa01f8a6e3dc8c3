"""Maximum power reduction: how far below its power limit a client stays, by modulation.

An amplifier that is to keep the envelope of a higher modulation undistorted has less power. A
client that sends with a modulation of reduction r (linear, >= 1) therefore takes up r times the
power that it radiates of its power limit. The reduction rises with the modulation, and so with the
SINR, so a client at its limit reaches the highest SINR whose modulation is allowed at the power
that this SINR takes. Where a modulation would be selected that is not allowed, the SINR stays just
below the one from which it is selected, at the power of this SINR.

So power limit and blocks used are worked out as if there were no reduction, for a *full* SINR, that
with the power that is taken up; what is radiated and received follows from it.

References
----------
3GPP TS 38.101-1 clause 6.2.2 allows reductions up to the values of its table 6.2.2-1. That clients
make use of all of it, and that sites know it (power headroom reports), is our choice.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from netsim.phy.link_adaptation import RateTable
from netsim.units import db_to_linear

JUST_BELOW = 1.0 - 1e-6
"""SINR of a client that may not use a modulation, over the SINR from which it is selected."""

LEAST_SINR = 1e-300
"""A SINR never counts as less, so that others over it are finite."""


class PowerReduction:
    """Power reduction of clients by the modulation that link adaptation selects at their SINR.

    Parameters
    ----------
    reduction_db
        Reduction by bits per symbol [dB], >= 0; it does not fall from 2 to 8 bits.
    rates
        The MCS for a measured SINR; neither the margin of the outer loop nor the length of
        blocks is counted.
    """

    def __init__(self, reduction_db: Mapping[int, float], rates: RateTable) -> None:
        grid = 10.0 ** ((rates.grid_db + 1e-6) / 10)
        order = np.maximum.accumulate(rates.mcs.modulation_order[rates.mcs_index(grid)])
        rises = np.flatnonzero(np.diff(order)) + 1
        self.starts: Float[np.ndarray, " rise"] = 10.0 ** (rates.grid_db[rises] / 10)
        """SINR from which each higher modulation is selected, linear."""
        used = [int(order[0]), *order[rises].tolist()]
        self._factor = np.array([float(db_to_linear(reduction_db[each])) for each in used])
        self._highest = np.append(self.starts * JUST_BELOW, np.inf)
        self._least_part = 1.0 / self._factor

    def factor(self, sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the power taken up over the power radiated, at the modulation of a SINR."""
        return self._factor[self.starts.searchsorted(sinr, side="right")]

    def reached(self, full_sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the highest SINR that is allowed, by the SINR without any reduction."""
        return full_sinr * self.radiated_part(full_sinr)

    def radiated_part(self, full_sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the power radiated over the power taken up, by the SINR without any reduction."""
        axes = (-1, *(1,) * full_sinr.ndim)
        allowed = self._highest.reshape(axes) / np.maximum(full_sinr, LEAST_SINR)
        return np.minimum(allowed, self._least_part.reshape(axes)).max(axis=0)
