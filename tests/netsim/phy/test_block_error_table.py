"""Error rates looked up on the grid of a rate table."""

import numpy as np
import pytest

from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.link_adaptation import GRID_HIGHEST_DB, GRID_LOWEST_DB, RateTable

RATES = RateTable(code_block_bits=2000)
TABLE = BlockErrorTable(RATES)


def lookup(sinr_db, mcs_index):
    sinr_db, mcs_index = np.atleast_1d(sinr_db), np.atleast_1d(mcs_index)
    return TABLE.lookup(10.0 ** (sinr_db / 10), np.broadcast_to(mcs_index, sinr_db.shape))


@pytest.mark.parametrize("mcs_index", [0, 5, 28])
def test_on_the_grid_it_is_the_closed_form(mcs_index):
    points = np.arange(0, len(RATES.grid_db), 7)
    expected = RATES.block_error(10.0 ** (RATES.grid_db[points] / 10), np.array(mcs_index))
    np.testing.assert_allclose(lookup(RATES.grid_db[points], mcs_index), expected, atol=1e-9)


def test_between_points_it_is_linear_in_db():
    rows = [3, 3, 10]
    points = np.array([340, 341, 457])
    left, right = RATES.first_error[rows, points], RATES.first_error[rows, points + 1]
    found = lookup(RATES.grid_db[points] + 0.25 * 0.05, np.array(rows))
    np.testing.assert_allclose(found, 0.75 * left + 0.25 * right, rtol=1e-6)
    assert (left > 1.1 * right).all()  # in the waterfall


def test_beyond_the_grid_its_edges_hold():
    low, high = RATES.first_error[[0, 28], 0], RATES.first_error[[0, 28], -1]
    np.testing.assert_array_equal(lookup([GRID_LOWEST_DB - 30.0] * 2, np.array([0, 28])), low)
    np.testing.assert_array_equal(TABLE.lookup(np.zeros(2), np.array([0, 28])), low)
    np.testing.assert_array_equal(lookup([GRID_HIGHEST_DB + 30.0] * 2, np.array([0, 28])), high)
