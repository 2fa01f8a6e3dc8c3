"""From SINR to rate: the MCS that link adaptation selects at a known SINR, and its goodput."""

import numpy as np
from jaxtyping import Float, Int

from netsim.interpolation import find_cell
from netsim.phy.block_error import MAX_CODE_BLOCK_BITS, code_block_error
from netsim.phy.harq import HarqOutcome, chase_combining
from netsim.phy.mcs import McsTableNumber, mcs_table
from netsim.units import floored_db

GRID_LOWEST_DB = -20.0
GRID_HIGHEST_DB = 45.0
GRID_STEP_DB = 0.05


class RateTable:
    """Goodput and MCS as functions of SINR, tabulated once at 0.05 dB.

    At every SINR the MCS is, among those whose first transmission meets the target error rate, the
    one with the largest ``SE (1 - BLER)``; where none meets it, MCS 0. Its goodput includes chase
    combining: ``SE (1 - residual) / E[transmissions]``.

    Parameters
    ----------
    mcs_table_number
        1 (up to 64QAM) or 2 (up to 256QAM).
    target_block_error
        Largest error rate of a first transmission, in (0, 1); 0.1 is usual.
    code_block_bits
        Information bits of a block, a single code block, 24 to 8448.


    Notes
    -----
    The SINR is taken as known: no measurement delay, no quantisation, no outer loop
    (:mod:`netsim.phy_abstraction.goodput` models delay and outer loop). "Highest MCS that meets the
    target" is not used, as the efficiency of table 1 falls from MCS 16 to 17. Goodput never falls
    with SINR.

    References
    ----------
    3GPP TS 38.214 clause 5.1.3.1 (tables); MCS selection and goodput formula are our choice.

    Examples
    --------
    >>> table = RateTable(mcs_table_number=1)
    >>> table.mcs_index(np.array([0.001, 1.0, 1000.0])).tolist()
    [0, 5, 28]
    """

    def __init__(
        self,
        *,
        mcs_table_number: McsTableNumber = 1,
        target_block_error: float = 0.1,
        code_block_bits: int = MAX_CODE_BLOCK_BITS,
    ) -> None:
        if not 0 < target_block_error < 1:
            msg = f"target_block_error: must be > 0 and < 1, got {target_block_error}"
            raise ValueError(msg)
        self.mcs_table_number = mcs_table_number
        self.mcs = mcs_table(mcs_table_number)
        self.target_block_error = target_block_error
        self.code_block_bits = code_block_bits

        num_points = round((GRID_HIGHEST_DB - GRID_LOWEST_DB) / GRID_STEP_DB) + 1
        self.grid_db = GRID_LOWEST_DB + GRID_STEP_DB * np.arange(num_points)
        grid = 10.0 ** (self.grid_db / 10)
        every_mcs = np.arange(len(self.mcs))[:, None]
        self.first_error: Float[np.ndarray, "mcs sinr"] = self.block_error(grid, every_mcs)
        """BLER of the first transmission, by MCS and grid point."""
        self.harq: HarqOutcome = chase_combining(
            lambda sinr: self.block_error(sinr, every_mcs),
            np.broadcast_to(grid, (len(self.mcs), num_points)),
        )
        """Transmissions and residual error, by MCS and grid point."""
        goodput = self.mcs.spectral_efficiency[:, None] * (
            (1 - self.harq.residual_error) / self.harq.mean_transmissions
        )
        expected = self.mcs.spectral_efficiency[:, None] * (1 - self.first_error)
        allowed = np.where(self.first_error <= target_block_error, expected, -1.0)
        allowed[0] = np.maximum(allowed[0], 0.0)  # the most robust MCS is always allowed
        self._best = allowed.argmax(axis=0)
        self.mcs_in_use: Int[np.ndarray, " rung"] = np.unique(self._best)
        """MCS indices that are selected at some SINR, the most robust first."""
        meets_target = (self.first_error[self._best[0]] <= target_block_error).argmax()
        first = np.maximum(self._best.searchsorted(self.mcs_in_use), meets_target)
        self.starts_db: Float[np.ndarray, " rung"] = self.grid_db[first]
        """SINR from which each of these meets the target and is selected [dB]; the first of them is
        selected below it, too."""
        self._goodput = np.take_along_axis(goodput, self._best[None], axis=0)[0]

    def block_error(
        self, sinr_linear: Float[np.ndarray, "..."], mcs_index: Int[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Return the error rate of a block sent once with an MCS; arguments broadcast."""
        return code_block_error(
            sinr_linear,
            num_info_bits=self.code_block_bits,
            spectral_efficiency=self.mcs.spectral_efficiency[mcs_index],
            modulation_order=self.mcs.modulation_order[mcs_index],
        )

    def spectral_efficiency(
        self, sinr_linear: Float[np.ndarray, "*link"]
    ) -> Float[np.ndarray, "*link"]:
        """Return goodput in bits per resource element, retransmissions and losses included.

        Linear in dB between grid points; 0 below the grid, the last value above it.
        """
        place = self._place(sinr_linear)
        low, part = find_cell(place, len(self._goodput))
        rise = self._goodput[low + 1] - self._goodput[low]
        return np.where(place < 0, 0.0, self._goodput[low] + part * rise)

    def mcs_index(self, sinr_linear: Float[np.ndarray, "*link"]) -> Int[np.ndarray, "*link"]:
        """Return the MCS index selected at a SINR: that of the grid point at or below it."""
        place = np.clip(self._place(sinr_linear), 0, len(self.grid_db) - 1)
        return self._best[place.astype(np.intp)]

    def _place(self, sinr_linear: Float[np.ndarray, "*link"]) -> Float[np.ndarray, "*link"]:
        """Return the position on the grid in steps; far below 0 for a SINR of 0."""
        sinr_db = floored_db(sinr_linear)
        return np.asarray((sinr_db - GRID_LOWEST_DB) / GRID_STEP_DB)
