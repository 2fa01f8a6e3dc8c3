"""Block error rates by MCS and SINR, tabulated for engines that need millions of them."""

import numpy as np
from jaxtyping import Float, Int

from netsim.interpolation import find_cell
from netsim.phy.link_adaptation import GRID_HIGHEST_DB, GRID_LOWEST_DB, GRID_STEP_DB, RateTable
from netsim.units import floored_db


class BlockErrorTable:
    """The error rate of a rate table's blocks on its own grid, linear in dB in between.

    Parameters
    ----------
    rates
        Gives block size, MCS and the exact error rate.
    """

    def __init__(self, rates: RateTable) -> None:
        num_points = round((GRID_HIGHEST_DB - GRID_LOWEST_DB) / GRID_STEP_DB) + 1
        grid = 10.0 ** ((GRID_LOWEST_DB + GRID_STEP_DB * np.arange(num_points)) / 10)
        self._error = rates.block_error(grid, np.arange(len(rates.mcs))[:, None])

    def lookup(
        self, sinr_linear: Float[np.ndarray, " block"], mcs_index: Int[np.ndarray, " block"]
    ) -> Float[np.ndarray, " block"]:
        """Give the error rate of blocks sent once at an effective SINR; 1 below the grid."""
        sinr_db = floored_db(sinr_linear)
        low, part = find_cell((sinr_db - GRID_LOWEST_DB) / GRID_STEP_DB, self._error.shape[1])
        left = self._error[mcs_index, low]
        right = self._error[mcs_index, low + 1]
        return left + part * (right - left)
