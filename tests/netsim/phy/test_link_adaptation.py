"""The rate table: monotone, capped, honest about retransmissions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.phy.block_error import code_block_error
from netsim.phy.link_adaptation import RateTable
from netsim.phy.mcs import mcs_table

TABLES = {
    (number, target): RateTable(mcs_table_number=number, target_block_error=target)
    for number in (1, 2)
    for target in (0.001, 0.1, 0.3)
}
TABLES[1, "short"] = RateTable(code_block_bits=100)


@given(key=st.sampled_from(list(TABLES)), sinr_db=st.floats(-60, 70), step_db=st.floats(0, 20))
def test_goodput_never_falls_with_sinr(key, sinr_db, step_db):
    low, high = TABLES[key].spectral_efficiency(10 ** (np.array([sinr_db, sinr_db + step_db]) / 10))
    assert 0 <= low <= high + 1e-12


@pytest.mark.parametrize("key", TABLES, ids=str)
def test_goodput_never_falls_on_a_fine_grid(key):
    sinr = 10 ** (np.arange(-25, 50, 0.007) / 10)
    assert np.diff(TABLES[key].spectral_efficiency(sinr)).min() >= -1e-12


@pytest.mark.parametrize("number", [1, 2])
def test_goodput_ends_at_the_highest_mcs_and_stays_below_capacity(number):
    table = TABLES[number, 0.1]
    sinr = 10 ** (np.arange(-20, 50, 0.1) / 10)
    goodput = table.spectral_efficiency(sinr)
    assert goodput[-1] == pytest.approx(mcs_table(number).spectral_efficiency[-1], rel=1e-9)
    assert np.all(goodput < np.log2(1 + sinr))
    middle = (sinr > 1) & (sinr < 30)
    assert np.all(goodput[middle] > 0.6 * np.log2(1 + sinr[middle]))


def test_chosen_mcs_meets_the_target_at_its_grid_point():
    table = TABLES[1, 0.1]
    grid = 10 ** (table.grid_db / 10)
    index = table.mcs_index(grid * (1 + 1e-9))
    error = code_block_error(
        grid,
        num_info_bits=8448,
        spectral_efficiency=table.mcs.spectral_efficiency[index],
        modulation_order=table.mcs.modulation_order[index],
    )
    above = table.grid_db > -6.7
    assert above.sum() > 1000
    assert error[above].max() <= 0.1
    assert np.all(index[~above] == 0)


def test_never_uses_a_less_efficient_scheme_that_needs_more():
    # SE of table 1 falls from MCS 16 to 17: 17 must not be chosen where 16 works.
    sinr = 10 ** (np.arange(8.9, 9.35, 0.01) / 10)
    assert 17 not in TABLES[1, 0.1].mcs_index(sinr).tolist()


def test_retransmissions_cost_rate_below_the_first_threshold():
    table = TABLES[1, 0.1]
    two_copies = 10 ** (-8.5 / 10)  # MCS 0 works from -6.75 dB: here the second copy decides
    found = table.spectral_efficiency(np.array([two_copies]))[0]
    assert found == pytest.approx(2 * 120 / 1024 / 2, rel=0.01)


def test_no_signal_gives_no_rate():
    assert TABLES[1, 0.1].spectral_efficiency(np.array([0.0, 1e-9])).tolist() == [0.0, 0.0]


def test_impossible_target_is_refused():
    with pytest.raises(ValueError, match="target_block_error: must be > 0 and < 1"):
        RateTable(target_block_error=0.0)


def test_mcs_tables_are_complete():
    first, second = mcs_table(1), mcs_table(2)
    assert (len(first), len(second)) == (29, 28)
    np.testing.assert_allclose(
        second.spectral_efficiency[20:],
        [5.3320, 5.5547, 5.8906, 6.2266, 6.5703, 6.9141, 7.1602, 7.4063],
        atol=5e-5,
    )
    np.testing.assert_allclose(
        first.spectral_efficiency[[0, 16, 17]], [0.2344, 2.5703, 2.5664], atol=5e-5
    )
    with pytest.raises(ValueError, match="mcs_table: must be 1 or 2, got 3"):
        mcs_table(3)


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, float("nan")])
def test_a_target_at_the_end_of_its_range_is_refused(target):
    with pytest.raises(ValueError, match="target_block_error: must be > 0 and < 1"):
        RateTable(target_block_error=target)


def test_the_grid_spans_65_db_in_steps_of_a_twentieth():
    grid_db = TABLES[1, 0.1].grid_db
    assert (len(grid_db), grid_db[0], grid_db[-1]) == (1301, -20.0, pytest.approx(45.0))
    np.testing.assert_allclose(np.diff(grid_db), 0.05)


def test_goodput_is_linear_in_db_between_points_of_the_grid():
    table = TABLES[1, 0.1]
    at = np.arange(300, 900, 13)
    one, other = (table.spectral_efficiency(10 ** (table.grid_db[k] / 10)) for k in (at, at + 1))
    between = table.spectral_efficiency(10 ** ((table.grid_db[at] + 0.0125) / 10))
    np.testing.assert_allclose(between, 0.75 * one + 0.25 * other, rtol=1e-6, atol=1e-12)


def test_goodput_of_the_chosen_mcs_counts_losses_and_retransmissions():
    table = TABLES[1, "short"]
    at = np.arange(200, 900, 17)
    best = table.mcs_index(10 ** ((table.grid_db[at] + 1e-6) / 10))
    lost, sent = table.harq.residual_error[best, at], table.harq.mean_transmissions[best, at]
    expected = table.mcs.spectral_efficiency[best] * (1 - lost) / sent
    found = table.spectral_efficiency(10 ** (table.grid_db[at] / 10))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_goodput_begins_at_the_lowest_point_of_the_grid():
    table = TABLES[1, "short"]
    below, at = table.spectral_efficiency(10 ** (np.array([-20.01, -20.0 + 1e-9]) / 10))
    assert below == 0.0
    assert at == pytest.approx(
        table.mcs.spectral_efficiency[0]
        * (1 - table.harq.residual_error[0, 0])
        / table.harq.mean_transmissions[0, 0]
    )


def test_the_mcs_is_the_one_that_carries_most_among_those_within_the_target():
    table = TABLES[1, 0.1]
    for point in range(0, 1301, 11):
        carried = table.mcs.spectral_efficiency * (1 - table.first_error[:, point])
        within = np.flatnonzero(table.first_error[:, point] <= 0.1)
        expected = within[carried[within].argmax()] if len(within) else 0
        sinr = 10 ** ((table.grid_db[point] + 1e-6) / 10)
        assert table.mcs_index(np.array([sinr]))[0] == expected
    ends = table.mcs_index(np.array([0.0, 1e-9, 1e9]))
    assert ends.tolist() == [0, 0, 28]
    assert table.mcs_in_use.tolist() == [k for k in range(29) if k != 17]
