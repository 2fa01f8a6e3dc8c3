"""Block error rates by MCS and SINR, tabulated for fast look-up."""

import numpy as np
from jaxtyping import Float, Int

from netsim.interpolation import find_cell
from netsim.phy.link_adaptation import GRID_LOWEST_DB, GRID_STEP_DB, RateTable
from netsim.units import floored_db


class BlockErrorTable:
    """Block error rates on the SINR grid of a rate table, linear in dB between grid points.

    Parameters
    ----------
    rates
        Block size, MCS table and error rates.
    """

    def __init__(self, rates: RateTable) -> None:
        self._error = rates.first_error

    def lookup(
        self, sinr_linear: Float[np.ndarray, " block"], mcs_index: Int[np.ndarray, " block"]
    ) -> Float[np.ndarray, " block"]:
        """Return the error rate of blocks by effective SINR; beyond the grid its edges hold."""
        sinr_db = floored_db(sinr_linear)
        low, part = find_cell((sinr_db - GRID_LOWEST_DB) / GRID_STEP_DB, self._error.shape[1])
        left = self._error[mcs_index, low]
        right = self._error[mcs_index, low + 1]
        return left + part * (right - left)
