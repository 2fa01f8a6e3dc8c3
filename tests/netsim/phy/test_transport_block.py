"""Ladder step 12: transport block sizes and peak rates, exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.phy.mcs import mcs_table
from netsim.phy.transport_block import (
    _small_sizes,
    num_code_blocks,
    peak_rate_bps,
    transport_block_size_bits,
)


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


def test_peak_rates(ladder):
    uplink = peak_rate_bps(
        273, subcarrier_spacing_hz=30e3, modulation_order=6, num_layers=1, overhead_fraction=0.08
    )
    ladder.near(
        12,
        "peak rate of one layer, 64QAM, 273 blocks uplink",
        source="TS 38.306 clause 4.1.2",
        measured=uplink / 1e6,
        expected=468.76,
        tolerance=0.005,
        unit="Mb/s",
    )
    downlink = peak_rate_bps(
        273, subcarrier_spacing_hz=30e3, modulation_order=8, num_layers=4, overhead_fraction=0.14
    )
    ladder.near(
        12,
        "peak rate of four layers, 256QAM, 273 blocks downlink",
        source="TS 38.306 clause 4.1.2",
        measured=downlink / 1e6,
        expected=2337.0,
        tolerance=0.05,
        unit="Mb/s",
    )


def test_code_blocks_of_a_transport_block():
    assert num_code_blocks(8424, code_rate=0.9) == 1
    assert num_code_blocks(8432, code_rate=0.9) == 2
    assert num_code_blocks(200808, code_rate=948 / 1024) == 24
    assert num_code_blocks(8448, code_rate=120 / 1024) == 3


def test_empty_grant_is_refused():
    with pytest.raises(ValueError, match="must leave >= 1 resource element, got 0"):
        transport_block_size_bits(0, code_rate_x1024=120, modulation_order=2)
