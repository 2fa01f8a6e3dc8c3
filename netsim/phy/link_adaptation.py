"""From SINR to rate: the MCS a converged link adaptation picks, and what it delivers."""

import numpy as np
from jaxtyping import Float, Int

from netsim.phy.block_error import MAX_CODE_BLOCK_BITS, code_block_error, transport_block_error
from netsim.phy.harq import MAX_TRANSMISSIONS, chase_combining
from netsim.phy.mcs import McsTableNumber, mcs_table
from netsim.units import floored_db

GRID_LOWEST_DB = -20.0
GRID_HIGHEST_DB = 45.0
GRID_STEP_DB = 0.05


class RateTable:
    """Goodput and MCS as functions of SINR, tabulated once at 0.05 dB.

    At every SINR the MCS is, among those whose first transmission meets the target error rate, the
    one with the largest ``SE (1 - BLER)``; below the reach of all, MCS 0. Its goodput counts chase
    combining: ``SE (1 - residual) / E[transmissions]``.

    Parameters
    ----------
    mcs_table_number
        1 (up to 64QAM) or 2 (up to 256QAM).
    target_block_error
        Largest error rate of a first transmission, in (0, 1); 0.1 is usual.
    code_block_bits
        Information bits of a code block, 24 to 8448.
    num_code_blocks
        Code blocks of a transport block, >= 1: all must be right.
    max_transmissions
        Transmissions of a block at most, >= 1.

    Notes
    -----
    This stands for a choice with the SINR known: no delay of the measurement, no quantisation, no
    outer loop (:mod:`netsim.phy_abstraction.goodput` has those). "Highest MCS that meets the
    target" is not used: the efficiency of table 1 falls from MCS 16 to 17. Goodput never falls with
    SINR, even so.

    References
    ----------
    3GPP TS 38.214 clause 5.1.3.1 (tables); the choice of MCS and the goodput form are ours.

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
        num_code_blocks: int = 1,
        max_transmissions: int = MAX_TRANSMISSIONS,
    ) -> None:
        if not 0 < target_block_error < 1:
            msg = f"target_block_error: must be > 0 and < 1, got {target_block_error}"
            raise ValueError(msg)
        self.mcs_table_number = mcs_table_number
        self.mcs = mcs_table(mcs_table_number)
        self.target_block_error = target_block_error
        self.code_block_bits = code_block_bits
        self.num_code_blocks = num_code_blocks
        num_points = round((GRID_HIGHEST_DB - GRID_LOWEST_DB) / GRID_STEP_DB) + 1
        self.grid_db = GRID_LOWEST_DB + GRID_STEP_DB * np.arange(num_points)
        grid = 10.0 ** (self.grid_db / 10)
        outcome = chase_combining(
            lambda sinr: self.block_error(sinr, np.arange(len(self.mcs))[:, None]),
            np.broadcast_to(grid, (len(self.mcs), num_points)),
            max_transmissions=max_transmissions,
        )
        goodput = self.mcs.spectral_efficiency[:, None] * (
            (1 - outcome.residual_error) / outcome.mean_transmissions
        )
        first_error = self.block_error(grid, np.arange(len(self.mcs))[:, None])
        promised = self.mcs.spectral_efficiency[:, None] * (1 - first_error)
        meets = first_error <= target_block_error
        allowed = np.where(meets, promised, -1.0)
        allowed[0] = np.maximum(allowed[0], 0.0)  # the most robust MCS is always allowed
        self._best = allowed.argmax(axis=0)
        self.mcs_in_use: Int[np.ndarray, " rung"] = np.unique(self._best)
        """Every MCS that is ever chosen, the most robust first."""
        self._goodput = np.take_along_axis(goodput, self._best[None], axis=0)[0]

    def block_error(
        self, sinr_linear: Float[np.ndarray, "..."], mcs_index: Int[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Give the error rate of a transport block sent once with an MCS; arguments broadcast."""
        rate = code_block_error(
            sinr_linear,
            num_info_bits=self.code_block_bits,
            spectral_efficiency=self.mcs.spectral_efficiency[mcs_index],
            modulation_order=self.mcs.modulation_order[mcs_index],
        )
        return transport_block_error(rate, num_code_blocks=self.num_code_blocks)

    def spectral_efficiency(
        self, sinr_linear: Float[np.ndarray, "*link"]
    ) -> Float[np.ndarray, "*link"]:
        """Give goodput in bits per resource element; retransmissions and losses are counted.

        Between grid points it is linear in dB; below the grid 0, above it its last value.
        """
        place = self._place(sinr_linear)
        inside = np.clip(place, 0, len(self._goodput) - 1)
        low = np.minimum(inside.astype(np.intp), len(self._goodput) - 2)
        rise = self._goodput[low + 1] - self._goodput[low]
        return np.where(place < 0, 0.0, self._goodput[low] + (inside - low) * rise)

    def mcs_index(self, sinr_linear: Float[np.ndarray, "*link"]) -> Int[np.ndarray, "*link"]:
        """Give the index of the MCS in use, that of the grid point at or below the SINR."""
        place = np.clip(self._place(sinr_linear), 0, len(self.grid_db) - 1)
        return self._best[place.astype(np.intp)]

    def _place(self, sinr_linear: Float[np.ndarray, "*link"]) -> Float[np.ndarray, "*link"]:
        """Position on the grid in steps; far below it for a SINR of 0."""
        sinr_db = floored_db(sinr_linear)
        return np.asarray((sinr_db - GRID_LOWEST_DB) / GRID_STEP_DB)
