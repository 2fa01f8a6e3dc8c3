"""Mean transport block sizes, relative to spectral efficiency times resource elements."""

from functools import cache

import numpy as np
from jaxtyping import Float

from netsim.phy.mcs import McsTableNumber, mcs_table
from netsim.phy.resource_grid import SUBCARRIERS_PER_BLOCK, SYMBOLS_PER_SLOT
from netsim.phy.transport_block import transport_block_size_bits

ELEMENTS_PER_BLOCK = SUBCARRIERS_PER_BLOCK * SYMBOLS_PER_SLOT

_SMALLEST = np.finfo(float).tiny


class BlockSizes:
    """Transport block sizes of one direction, and their ratio to the nominal number of bits.

    The standard quantises sizes: they are up to 16 % below or 4 % above code rate times modulation
    order times resource elements, most for few resource blocks at a low MCS.

    Parameters
    ----------
    mcs_table_number
        1 (up to 64QAM) or 2 (up to 256QAM).
    num_blocks
        Width of the band in resource blocks.
    overhead_fraction
        Share of resource elements without data; rounded to whole elements of a block.

    References
    ----------
    3GPP TS 38.214 clauses 5.1.3.2 and 6.1.4.2, see :mod:`netsim.phy.transport_block`.

    Examples
    --------
    >>> sizes = BlockSizes(mcs_table_number=1, num_blocks=51, overhead_fraction=0.08)
    >>> float(sizes.bits[0, 1]), float(sizes.ratio(np.array(0.2344), np.array(1.0)).round(3))
    (32.0, 0.883)
    """

    def __init__(
        self, *, mcs_table_number: McsTableNumber, num_blocks: int, overhead_fraction: float
    ) -> None:
        self.bits: Float[np.ndarray, "mcs blocks"] = _sizes(
            mcs_table_number, num_blocks, round(ELEMENTS_PER_BLOCK * overhead_fraction)
        )
        """Size [bit] by MCS and number of blocks; 0 for none."""
        efficiency = mcs_table(mcs_table_number).spectral_efficiency
        # Where the modulation changes, table 1 has an MCS of lower efficiency than the one before.
        is_faster = efficiency > np.maximum.accumulate(np.append(0, efficiency))[:-1]
        self._efficiency = efficiency[is_faster]
        self._bits = self.bits[is_faster].ravel()
        self._elements = ELEMENTS_PER_BLOCK * (1.0 - overhead_fraction)
        width = self.bits.shape[1]
        self._corners = np.array([0, width, 1, width + 1])

    def ratio(
        self,
        spectral_efficiency: Float[np.ndarray, "*transfer"],
        blocks: Float[np.ndarray, "*transfer"],
    ) -> Float[np.ndarray, "*transfer"]:
        """Return the mean transport block size over spectral efficiency times data elements.

        A number of blocks that is not whole stands for a mix of the two whole numbers around it (0
        and 1 if below 1), a spectral efficiency between two MCS for a mix of these.

        Parameters
        ----------
        spectral_efficiency
            Mean bits sent per resource element; held at the ends of the MCS table.
        blocks
            Resource blocks held, at most those of the band.
        """
        # np.clip takes several times as long for a few values.
        width = self.bits.shape[1]
        held = np.minimum(np.maximum(blocks, _SMALLEST), width - 1.0)
        fewer = np.minimum(held.astype(np.intp), width - 2)
        sent = np.minimum(
            np.maximum(spectral_efficiency, self._efficiency[0]), self._efficiency[-1]
        )
        place = self._efficiency.searchsorted(sent, side="right") - 1
        lower_mcs = np.minimum(place, len(self._efficiency) - 2)
        low, high = self._efficiency.take(lower_mcs), self._efficiency.take(lower_mcs + 1)
        share_of_higher = (sent - low) / (high - low)
        at = lower_mcs * width + fewer
        bits = self._bits.take(np.add.outer(self._corners, at))
        fewer_bits, more_bits = bits[:2], bits[2:]
        lower, higher = fewer_bits + (held - fewer) * (more_bits - fewer_bits)
        return (lower + share_of_higher * (higher - lower)) / (sent * self._elements * held)


@cache
def _sizes(
    mcs_table_number: McsTableNumber, num_blocks: int, overhead_elements: int
) -> Float[np.ndarray, "mcs blocks"]:
    mcs = mcs_table(mcs_table_number)
    sizes = np.zeros((len(mcs), num_blocks + 1))
    for index in range(len(mcs)):
        for blocks in range(1, num_blocks + 1):
            sizes[index, blocks] = transport_block_size_bits(
                blocks,
                code_rate_x1024=round(float(mcs.code_rate[index]) * 2048) / 2,
                modulation_order=int(mcs.modulation_order[index]),
                num_symbols=SYMBOLS_PER_SLOT,
                dmrs_elements_per_block=overhead_elements,
            )
    sizes.flags.writeable = False
    return sizes
