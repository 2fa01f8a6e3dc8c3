"""Bits of transport blocks against those of their resource elements."""

import numpy as np
import pytest

from netsim.phy.block_sizes import BlockSizes
from netsim.phy.mcs import mcs_table

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
