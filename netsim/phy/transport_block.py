"""Transport block sizes of NR: the number of bits of a grant."""

import math
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netsim.phy.resource_grid import SUBCARRIERS_PER_BLOCK
from netsim.standard_table import read_standard_table

MAX_ELEMENTS_PER_BLOCK = 156
SMALL_BLOCK_BITS = 3824
CRC_BITS = 24


@cache
def _small_sizes() -> npt.NDArray[np.int64]:
    rows = read_standard_table(Path(__file__).with_name("transport_block.csv"))
    return np.array([int(row["size_bits"]) for row in rows])


def transport_block_size_bits(
    num_resource_blocks: int,
    *,
    code_rate_x1024: float,
    modulation_order: int,
    num_symbols: int = 12,
    dmrs_elements_per_block: int = 12,
    overhead_elements_per_block: int = 0,
    num_layers: int = 1,
) -> int:
    """Return the size of the transport block of one slot [bit].

    Parameters
    ----------
    num_resource_blocks
        Blocks of the grant, >= 1.
    code_rate_x1024
        Target code rate times 1024, as in the MCS tables.
    modulation_order
        Bits per symbol: 2, 4, 6 or 8.
    num_symbols
        Symbols of the slot in use, 1 to 14.
    dmrs_elements_per_block
        Resource elements of a block that carry demodulation reference signals.
    overhead_elements_per_block
        Further overhead (xOverhead), configured as 0, 6, 12 or 18.
    num_layers
        Spatial layers, 1 to 4.

    Raises
    ------
    ValueError
        If the grant holds no resource element.

    References
    ----------
    3GPP TS 38.214, clauses 5.1.3.2 and 6.1.4.2.

    Examples
    --------
    >>> transport_block_size_bits(51, code_rate_x1024=658, modulation_order=4)
    17424
    """
    per_block = (
        SUBCARRIERS_PER_BLOCK * num_symbols - dmrs_elements_per_block - overhead_elements_per_block
    )
    elements = min(MAX_ELEMENTS_PER_BLOCK, per_block) * num_resource_blocks
    if elements < 1:
        msg = f"num_resource_blocks: must leave >= 1 resource element, got {elements}"
        raise ValueError(msg)
    # Exact arithmetic: a rounding error here would move the size by a whole step.
    info = elements * Fraction(code_rate_x1024) / 1024 * modulation_order * num_layers
    if info <= SMALL_BLOCK_BITS:
        step = 2 ** max(3, _floor_log2(info) - 6)
        wanted = max(24, step * math.floor(info / step))
        sizes = _small_sizes()
        return int(sizes[np.searchsorted(sizes, wanted)])
    return _large_size_bits(info, is_low_rate=4 * Fraction(code_rate_x1024) <= 1024)


def _large_size_bits(info: Fraction, *, is_low_rate: bool) -> int:
    """Return a size beyond 3824 bits: equal code blocks of whole bytes."""
    step = 2 ** (_floor_log2(info - CRC_BITS) - 5)
    # Halves are rounded up, as in the standard's examples; Python rounds them to even.
    quantised = max(3840, step * math.floor((info - CRC_BITS) / step + Fraction(1, 2)))
    with_crc = quantised + CRC_BITS
    if is_low_rate:
        num_code_blocks = math.ceil(with_crc / 3816)
    elif quantised > 8424:
        num_code_blocks = math.ceil(with_crc / 8424)
    else:
        num_code_blocks = 1
    return 8 * num_code_blocks * math.ceil(with_crc / (8 * num_code_blocks)) - CRC_BITS


def _floor_log2(value: Fraction) -> int:
    """Return the floor of log2, exact for fractions; 0 below 1, where the caller has a floor."""
    return max(0, math.floor(value).bit_length() - 1)
