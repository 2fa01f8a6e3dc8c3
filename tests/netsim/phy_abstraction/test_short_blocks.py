"""Link adaptation that knows the size of its blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.block_length import length_loss_db
from netsim.phy.block_sizes import BlockSizes
from netsim.phy.link_adaptation import RateTable
from netsim.phy_abstraction.goodput import KnownChannel
from netsim.phy_abstraction.short_blocks import ShortBlocks

RATES = RateTable(mcs_table_number=1)
SIZES = BlockSizes(mcs_table_number=1, num_blocks=51, overhead_fraction=0.08)
SHORT = ShortBlocks(RATES, SIZES)
ERRORS = BlockErrorTable(RATES)


def first_error(sinr_db, blocks, mcs):
    """Error rate of first transmissions of blocks of the size of this MCS."""
    needed = SHORT.factor(mcs, blocks)
    return ERRORS.lookup(10 ** (sinr_db / 10) / needed, mcs)


@given(sinr_db=st.floats(-15, 35), blocks=st.integers(1, 51))
def test_it_is_the_fastest_mcs_that_meets_the_target_with_blocks_of_its_size(sinr_db, blocks):
    number = np.full(len(RATES.mcs_in_use), blocks)
    error = first_error(sinr_db, number, RATES.mcs_in_use)
    (chosen,) = SHORT.mcs_index(np.array([10 ** (sinr_db / 10)]), np.array([blocks]))
    meets = RATES.mcs_in_use[error <= 0.1]
    fastest = meets.max(initial=0)
    # at a border of two MCS either may be taken
    near = first_error(sinr_db + np.array([-0.11, 0.11]), np.full(2, blocks), np.full(2, chosen))
    assert chosen == fastest or (near[0] > 0.1 > near[1]) or chosen == meets.max(initial=0) - 1
    assert chosen <= fastest or near[1] <= 0.1


def test_the_needed_sinr_is_the_loss_of_the_size():
    mcs, blocks = np.array([0, 0, 5, 28]), np.array([1, 51, 3, 51])
    size_bits = SIZES.bits[mcs, blocks]
    assert size_bits[0] == 32
    expected_db = length_loss_db(
        size_bits, spectral_efficiency=RATES.mcs.spectral_efficiency[mcs], target_error=0.1
    )
    found_db = 10 * np.log10(SHORT.factor(mcs, blocks))
    np.testing.assert_allclose(found_db, expected_db, atol=1e-12)
    assert found_db[0] > 1.5
    assert found_db[3] == 0.0


@pytest.mark.parametrize("blocks", [1, 2, 5, 20, 51])
def test_the_mean_is_that_of_the_blocks_one_by_one(blocks):
    """Goodput at the equivalent SINR against that of the selected MCS and its errors."""
    sinr_db = np.arange(-9.0, 22.0, 0.05)
    sinr = 10 ** (sinr_db / 10)
    number = np.full(len(sinr), blocks)
    mcs = SHORT.mcs_index(sinr, number)
    combined = [q * sinr / SHORT.factor(mcs, number) for q in (1, 2, 3, 4)]
    error = np.cumprod([ERRORS.lookup(each, mcs) for each in combined], axis=0)
    transmissions = 1 + error[:3].sum(axis=0)
    expected = RATES.mcs.spectral_efficiency[mcs] * (1 - error[3]) / transmissions
    known = KnownChannel(RATES, has_outer_loop=False)
    found = known.efficiency(SHORT.equivalent_sinr(sinr, number.astype(float)))
    for part in (sinr_db < 0, sinr_db >= 0):
        assert found[part].mean() == pytest.approx(expected[part].mean(), rel=0.01)


def test_a_part_of_a_block_is_a_mix_of_whole_numbers():
    sinr = np.array([0.2, 1.0, 10.0])
    one, both, two = (SHORT.equivalent_sinr(sinr, np.full(3, b)) for b in (1.0, 1.5, 2.0))
    np.testing.assert_allclose(np.log(both), (np.log(one) + np.log(two)) / 2, rtol=0.02, atol=2e-3)
    np.testing.assert_array_equal(SHORT.equivalent_sinr(sinr, np.full(3, 0.2)), one)


def test_it_rises_with_sinr_and_with_blocks():
    sinr = 10.0 ** np.arange(-1.9, 4.4, 0.01)[:, None]
    blocks = np.array([1.0, 2.0, 4.0, 9.0, 30.0, 51.0])
    found = SHORT.equivalent_sinr(sinr, blocks)
    assert np.all(np.diff(found, axis=0) > 0)
    assert np.all(np.diff(found, axis=1) >= 0)
    assert np.all(found <= sinr)
    assert np.all(SHORT.equivalent_sinr(np.zeros(1), blocks) == 0)
