"""Bits of transport blocks against those of their resource elements."""

import itertools

import numpy as np
import pytest

from netsim.phy.block_sizes import BlockSizes
from netsim.phy.mcs import mcs_table
from netsim.phy.transport_block import transport_block_size_bits

EFFICIENCY = mcs_table(1).spectral_efficiency


@pytest.fixture
def sizes():
    return BlockSizes(mcs_table_number=1, num_blocks=51, overhead_fraction=0.08)


def test_one_block_of_the_slowest_mcs_carries_32_of_36_bits(sizes):
    """TS 38.214 by hand: 155 x 120 / 1024 x 2 = 36.3, down to a multiple of 8 is 32."""
    assert sizes.bits[0, 1] == 32
    ratio = sizes.ratio(EFFICIENCY[:1], np.ones(1))
    np.testing.assert_allclose(ratio, 32 / (168 * 0.92 * EFFICIENCY[0]), rtol=1e-12)


def test_between_whole_numbers_both_come_in_turn(sizes):
    nominal = 168 * 0.92
    at = {blocks: sizes.bits[3, blocks] for blocks in (2, 3)}
    ratio = sizes.ratio(EFFICIENCY[[3]], np.array([2.25]))
    expected = (0.75 * at[2] + 0.25 * at[3]) / (EFFICIENCY[3] * nominal * 2.25)
    np.testing.assert_allclose(ratio, expected, rtol=1e-12)
    half = (EFFICIENCY[3] + EFFICIENCY[4]) / 2
    mean_bits = sizes.bits[[3, 4], 5].mean()
    ratio = sizes.ratio(np.array([half]), np.array([5.0]))
    np.testing.assert_allclose(ratio, mean_bits / (half * nominal * 5), rtol=1e-12)


def test_a_block_part_of_the_time_and_the_ends_of_the_table(sizes):
    one = sizes.ratio(EFFICIENCY[[0]], np.ones(1))
    np.testing.assert_allclose(sizes.ratio(EFFICIENCY[[0]], np.array([0.3])), one, rtol=1e-12)
    below = sizes.ratio(EFFICIENCY[[0]] / 5, np.ones(1))
    np.testing.assert_allclose(below, one, rtol=1e-12)
    top = sizes.ratio(EFFICIENCY[[28, 28]] * np.array([1.0, 1.5]), np.full(2, 51.0))
    np.testing.assert_allclose(top, sizes.bits[28, 51] / (168 * 0.92 * EFFICIENCY[28] * 51))


def test_wide_grants_lose_little_on_average(sizes):
    blocks = np.arange(36.0, 52.0)
    for efficiency in EFFICIENCY:
        mean = sizes.ratio(np.full(16, efficiency), blocks).mean()
        assert mean == pytest.approx(1.0, abs=0.02)


def test_ratios_where_a_grid_ends(sizes):
    """All blocks of the band and the fastest MCS: nothing beyond them is mixed in."""
    nominal = 168 * 0.92
    for blocks in (50.0, 50.75, 51.0):
        fewer = min(int(blocks), 50)
        part = blocks - fewer
        bits = (1 - part) * sizes.bits[28, fewer] + part * sizes.bits[28, fewer + 1]
        ratio = sizes.ratio(EFFICIENCY[[28]], np.array([blocks]))
        np.testing.assert_allclose(ratio, bits / (EFFICIENCY[28] * nominal * blocks), rtol=1e-12)
    beyond = sizes.ratio(EFFICIENCY[[28]], np.array([60.0]))
    np.testing.assert_array_equal(beyond, sizes.ratio(EFFICIENCY[[28]], np.array([51.0])))


def test_an_efficiency_that_falls_from_one_mcs_to_the_next_is_left_out(sizes):
    """MCS 17 of table 1 carries less than MCS 16: between 16 and 18 these two are mixed."""
    assert EFFICIENCY[17] < EFFICIENCY[16] < EFFICIENCY[18]
    half = (EFFICIENCY[16] + EFFICIENCY[18]) / 2
    bits = sizes.bits[[16, 18], 20].mean()
    ratio = sizes.ratio(np.array([half]), np.array([20.0]))
    np.testing.assert_allclose(ratio, bits / (half * 168 * 0.92 * 20), rtol=1e-12)
    exact = sizes.ratio(EFFICIENCY[[18]], np.array([20.0]))
    np.testing.assert_allclose(exact, sizes.bits[18, 20] / (EFFICIENCY[18] * 168 * 0.92 * 20))


@pytest.mark.parametrize("number", [1, 2])
def test_sizes_are_those_of_the_standard_and_0_for_no_block(number):
    found = BlockSizes(mcs_table_number=number, num_blocks=51, overhead_fraction=0.08).bits
    mcs = mcs_table(number)
    assert found.shape == (len(mcs), 52)
    assert (found[:, 0] == 0).all()
    for index, blocks in itertools.product(range(len(mcs)), (1, 2, 7, 20, 51)):
        expected = transport_block_size_bits(
            blocks,
            code_rate_x1024=mcs.code_rate[index] * 1024,
            modulation_order=int(mcs.modulation_order[index]),
            num_symbols=14,
            dmrs_elements_per_block=13,  # 8 % of 168
        )
        assert found[index, blocks] == expected


def test_nobody_changes_the_table_that_all_share(sizes):
    with pytest.raises(ValueError, match="read-only"):
        sizes.bits[1, 1] = 0.0
