"""How many bits fit into a grant: transport block sizes and peak rates of NR."""

import math
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netsim.phy.resource_grid import SUBCARRIERS_PER_BLOCK, SYMBOLS_PER_SLOT, slot_duration_s
from netsim.standard_table import read_standard_table

MAX_ELEMENTS_PER_BLOCK = 156
SMALL_BLOCK_BITS = 3824
CHECKSUM_BITS = 24

DOWNLINK_OVERHEAD_FRACTION = 0.14
UPLINK_OVERHEAD_FRACTION = 0.08
"""Control overhead in FR1, TS 38.306 clause 4.1.2."""


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
    """Give the size of the transport block of one slot [bits].

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
        Resource elements of a block that carry reference signals.
    overhead_elements_per_block
        Further overhead, configured as 0, 6, 12 or 18.
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
    """Size beyond 3824 bits: equal code blocks of whole bytes."""
    step = 2 ** (_floor_log2(info - CHECKSUM_BITS) - 5)
    # Halves go up, as in the standard's examples; Python's round would go to even.
    quantised = max(3840, step * math.floor((info - CHECKSUM_BITS) / step + Fraction(1, 2)))
    with_checksum = quantised + CHECKSUM_BITS
    if is_low_rate:
        num_blocks = math.ceil(with_checksum / 3816)
    elif quantised > 8424:
        num_blocks = math.ceil(with_checksum / 8424)
    else:
        num_blocks = 1
    return 8 * num_blocks * math.ceil(with_checksum / (8 * num_blocks)) - CHECKSUM_BITS


def _floor_log2(value: Fraction) -> int:
    """Floor of log2, exact for fractions; below 1 the caller's lower limit rules."""
    return max(0, math.floor(value).bit_length() - 1)


def num_code_blocks(size_bits: int, *, code_rate: float) -> int:
    """Give the number of LDPC code blocks a transport block is cut into.

    Base graph 2 (blocks of up to 3840 bits) codes small blocks and low rates, base graph 1 (8448
    bits) all others.

    References
    ----------
    3GPP TS 38.212, clauses 5.2.2 and 7.2.2 (recollected).
    """
    uses_second_graph = (
        size_bits <= 292
        or code_rate <= 0.25
        or (size_bits <= SMALL_BLOCK_BITS and code_rate <= 0.67)
    )
    largest = 3840 if uses_second_graph else 8448
    with_checksum = size_bits + (CHECKSUM_BITS if size_bits > SMALL_BLOCK_BITS else 16)
    if with_checksum <= largest:
        return 1
    return math.ceil(with_checksum / (largest - CHECKSUM_BITS))


def peak_rate_bps(
    num_resource_blocks: int,
    *,
    subcarrier_spacing_hz: float,
    modulation_order: int,
    num_layers: int,
    overhead_fraction: float,
    code_rate: float = 948 / 1024,
) -> float:
    """Give the largest data rate of one carrier [bit/s].

    References
    ----------
    3GPP TS 38.306, clause 4.1.2.

    Examples
    --------
    >>> uplink = peak_rate_bps(273, subcarrier_spacing_hz=30e3, modulation_order=6, num_layers=1,
    ...                        overhead_fraction=UPLINK_OVERHEAD_FRACTION)
    >>> round(uplink / 1e6, 2)
    468.76
    """
    symbol_s = slot_duration_s(subcarrier_spacing_hz) / SYMBOLS_PER_SLOT
    subcarriers = num_resource_blocks * SUBCARRIERS_PER_BLOCK
    bits_per_symbol = num_layers * modulation_order * code_rate * subcarriers
    return bits_per_symbol / symbol_s * (1 - overhead_fraction)
