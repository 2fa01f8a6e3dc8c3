"""Link adaptation with transport blocks that are shorter than the longest code block.

A block of few bits needs more SINR than one of 8448 (:mod:`netsim.phy.block_length`), and its size
follows from the MCS and the number of resource blocks. The MCS is selected with that known: the
fastest one that meets the target error rate with blocks of its size. A link of a given SINR then
behaves as one with long blocks whose SINR is less by the loss of the block.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from netsim.phy.block_length import length_loss_db
from netsim.phy.block_sizes import BlockSizes
from netsim.phy.link_adaptation import GRID_HIGHEST_DB, GRID_LOWEST_DB, RateTable
from netsim.units import floored_db

SINR_STEP_DB = 0.1
"""Spacing of the SINRs at which the loss is tabulated; that of the nearest one holds."""

ROWS = 256
"""Rows of that table: numbers of resource blocks b at equal distances of ``1 / sqrt(b)``, in which
the loss is nearly linear; the last row is one block."""


class ShortBlocks:
    """The loss of transport blocks of one direction, by MCS or SINR and number of resource blocks.

    Parameters
    ----------
    rates
        Error rates of long blocks, and the MCS in use.
    sizes
        Sizes of the transport blocks.
    """

    def __init__(self, rates: RateTable, sizes: BlockSizes) -> None:
        self.sizes = sizes
        """Those of the transport blocks."""
        bits = sizes.bits.copy()
        bits[:, 0] = bits[:, 1]
        loss_db = length_loss_db(
            bits,
            spectral_efficiency=rates.mcs.spectral_efficiency[:, None],
            target_error=rates.target_block_error,
        )
        self._factor = 10.0 ** (loss_db / 10)
        self._in_use = rates.mcs_in_use
        loss_db = loss_db[self._in_use]
        starts_db = np.maximum.accumulate(rates.starts_db[:, None] + loss_db, axis=0)
        self._starts_db: Float[np.ndarray, "blocks rung"] = starts_db.T.copy()

        sinr_db = np.arange(GRID_LOWEST_DB, GRID_HIGHEST_DB + 1e-9, SINR_STEP_DB)
        by_sinr_db = np.array(
            [np.interp(sinr_db, *each) for each in zip(starts_db.T, loss_db.T, strict=True)]
        )
        most = bits.shape[1] - 1.0
        held = np.minimum((ROWS / np.arange(1.0, ROWS + 1)) ** 2, most)
        fewer = np.minimum(held.astype(np.intp), bits.shape[1] - 2)
        part = (held - fewer)[:, None]
        mixed_db = by_sinr_db[fewer] * (1 - part) + by_sinr_db[fewer + 1] * part
        self._num_sinrs = len(sinr_db)
        self._remaining = (10.0 ** (-mixed_db / 10)).ravel()

    def mcs_index(
        self, sinr_linear: Float[np.ndarray, " block"], blocks: Int[np.ndarray, " block"]
    ) -> Int[np.ndarray, " block"]:
        """Return the MCS selected at a SINR for a whole number of resource blocks."""
        sinr_db = floored_db(sinr_linear)
        reached = (sinr_db[:, None] >= self._starts_db[blocks]).sum(axis=1)
        return self._in_use[np.maximum(reached - 1, 0)]

    def factor(
        self, mcs_index: Int[np.ndarray, " block"], blocks: Int[np.ndarray, " block"]
    ) -> Float[np.ndarray, " block"]:
        """Return the SINR that a block needs over that of a long one with the same MCS."""
        return self._factor[mcs_index, blocks]

    def equivalent_sinr(
        self, sinr_linear: Float[np.ndarray, "..."], blocks: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Return the SINR at which long blocks have the outcome of those of this size.

        Where link adaptation is between two MCS, the loss is between theirs. A number of resource
        blocks that is not whole stands for a mix of the two whole numbers around it, less than one
        for one.

        Parameters
        ----------
        sinr_linear
            Effective SINR, linear.
        blocks
            Resource blocks held, at most those of the band; the arguments broadcast.
        """
        place = floored_db(sinr_linear) * (1 / SINR_STEP_DB) + (0.5 - GRID_LOWEST_DB / SINR_STEP_DB)
        column = np.minimum(np.maximum(place, 0.0), self._num_sinrs - 1.0).astype(np.intp)
        row = (ROWS / np.sqrt(np.maximum(blocks, 1.0)) - 0.5).astype(np.intp)
        return sinr_linear * self._remaining.take(row * self._num_sinrs + column)


@lru_cache(maxsize=16)
def short_blocks(rates: RateTable, *, num_blocks: int, overhead_fraction: float) -> ShortBlocks:
    """Return the loss of blocks in a band; runs of the same radio settings share the tables."""
    sizes = BlockSizes(
        mcs_table_number=rates.mcs_table_number,
        num_blocks=num_blocks,
        overhead_fraction=overhead_fraction,
    )
    return ShortBlocks(rates, sizes)
