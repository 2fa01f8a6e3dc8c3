"""Ladder step 12: transport block sizes, exact."""

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
