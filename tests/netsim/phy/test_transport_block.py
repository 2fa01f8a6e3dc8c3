"""Ladder step 12: transport block sizes, exact."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.phy.mcs import mcs_table
from netsim.phy.transport_block import _small_sizes, transport_block_size_bits


@pytest.mark.parametrize(
    ("num_blocks", "code_rate_x1024", "modulation_order", "size_bits"),
    [
        (1, 120, 2, 24),
        (10, 602, 2, 1608),
        (51, 658, 4, 17424),
        (106, 948, 6, 77896),
        (273, 948, 6, 200808),
        (273, 120, 2, 8448),
    ],
)
def test_sizes_of_the_standard(ladder, num_blocks, code_rate_x1024, modulation_order, size_bits):
    found = transport_block_size_bits(
        num_blocks, code_rate_x1024=code_rate_x1024, modulation_order=modulation_order
    )
    ladder.near(
        12,
        "transport blocks of 1 to 273 resource blocks",
        source="TS 38.214 clause 5.1.3.2",
        measured=found,
        expected=size_bits,
        tolerance=0,
        unit="bit",
    )


def test_table_of_small_sizes_is_complete():
    sizes = _small_sizes()
    assert (len(sizes), sizes[0], sizes[-1]) == (93, 24, 3824)
    assert all(sizes[1:] > sizes[:-1])
    assert all(size % 8 == 0 for size in sizes)


@given(
    num_blocks=st.integers(1, 273),
    mcs=st.integers(0, 28),
    num_layers=st.integers(1, 4),
)
def test_size_is_whole_bytes_near_the_information_bits(num_blocks, mcs, num_layers):
    table = mcs_table(1)
    rate, order = table.code_rate[mcs] * 1024, int(table.modulation_order[mcs])
    size = transport_block_size_bits(
        num_blocks, code_rate_x1024=rate, modulation_order=order, num_layers=num_layers
    )
    info = 132 * num_blocks * rate / 1024 * order * num_layers
    assert size % 8 == 0
    if info > 400:
        assert size == pytest.approx(info, rel=0.06)


@given(num_blocks=st.integers(1, 272), mcs=st.integers(0, 28))
def test_more_blocks_never_carry_less(num_blocks, mcs):
    table = mcs_table(1)
    rate, order = table.code_rate[mcs] * 1024, int(table.modulation_order[mcs])
    sizes = [
        transport_block_size_bits(n, code_rate_x1024=rate, modulation_order=order)
        for n in (num_blocks, num_blocks + 1)
    ]
    assert sizes[0] <= sizes[1]


def test_empty_grant_is_refused():
    with pytest.raises(ValueError, match="must leave >= 1 resource element, got 0"):
        transport_block_size_bits(0, code_rate_x1024=120, modulation_order=2)


def size_of_the_standard(info):
    """TS 38.214 clause 5.1.3.2 for information bits beyond the table, at a high code rate."""
    step = 2 ** (math.floor(math.log2(info - 24)) - 5)
    quantised = max(3840, step * math.floor((info - 24) / step + 0.5))
    count = math.ceil((quantised + 24) / 8424) if quantised > 8424 else 1
    return 8 * count * math.ceil((quantised + 24) / (8 * count)) - 24


@pytest.mark.parametrize("num_blocks", range(1, 274, 4))
@pytest.mark.parametrize(("code_rate_x1024", "modulation_order"), [(948, 6), (658, 4), (449, 2)])
def test_large_sizes_are_those_of_the_formula(num_blocks, code_rate_x1024, modulation_order):
    info = 132 * num_blocks * code_rate_x1024 * modulation_order / 1024
    found = transport_block_size_bits(
        num_blocks, code_rate_x1024=code_rate_x1024, modulation_order=modulation_order
    )
    if info > 3824:
        assert found == size_of_the_standard(info)
    else:
        step = 2 ** max(3, math.floor(math.log2(info)) - 6)
        wanted = max(24, step * math.floor(info / step))
        assert found == min(size for size in _small_sizes() if size >= wanted)


@pytest.mark.parametrize(
    ("code_rate_x1024", "num_blocks", "size_bits"),
    [
        # 132 x 124 x 256 / 1024 x 2 = 8184 information bits, quantised to 8192: with the checksum
        # three code blocks of at most 3816 bits at a rate of 1/4 or less, 8 x 3 x 343 - 24 = 8208.
        (256, 124, 8208),
        # A rate above 1/4: 8215.97 are quantised to 8192, which is one code block.
        (257, 124, 8192),
    ],
)
def test_low_code_rates_have_short_code_blocks(code_rate_x1024, num_blocks, size_bits):
    found = transport_block_size_bits(
        num_blocks, code_rate_x1024=code_rate_x1024, modulation_order=2
    )
    assert found == size_bits


def test_elements_of_a_block_are_limited_to_156():
    def size_bits(**elements):
        return transport_block_size_bits(
            40, code_rate_x1024=512, modulation_order=2, num_symbols=14, **elements
        )

    full = size_bits(dmrs_elements_per_block=12)  # 156 of 168
    assert size_bits(dmrs_elements_per_block=0) == full
    assert size_bits(dmrs_elements_per_block=11) == full
    assert size_bits(dmrs_elements_per_block=6, overhead_elements_per_block=6) == full
    less = size_bits(dmrs_elements_per_block=12, overhead_elements_per_block=18)
    assert less == size_bits(dmrs_elements_per_block=30) < full


def test_a_grant_of_one_element_is_a_grant():
    settings = {"code_rate_x1024": 120, "modulation_order": 2, "num_symbols": 1}
    assert transport_block_size_bits(1, dmrs_elements_per_block=11, **settings) == 24
    with pytest.raises(ValueError, match="must leave >= 1 resource element, got 0"):
        transport_block_size_bits(1, dmrs_elements_per_block=12, **settings)
