"""Power reduction by modulation: against trying every SINR, every MCS, and values by hand."""

import numpy as np
import pytest

from netsim.phy.link_adaptation import RateTable
from netsim.phy.power_reduction import PowerReduction
from netsim.units import linear_to_db

BY_ORDER_DB = {2: 1.5, 4: 2.0, 6: 3.5, 8: 6.5}
TABLES = {1: RateTable(mcs_table_number=1), 2: RateTable(mcs_table_number=2)}


def reduction_of(number, by_order_db=None):
    return PowerReduction(by_order_db or BY_ORDER_DB, TABLES[number])


def order_at(rates, sinr):
    return rates.mcs.modulation_order[rates.mcs_index(sinr)]


@pytest.mark.parametrize(
    ("number", "full_db", "sinr_db"),
    [
        (1, -10.0, -11.5),  # QPSK
        (1, 7.0, 5.0),  # 16QAM
        (1, 20.0, 16.5),  # 64QAM
        (1, 40.0, 36.5),
        (2, 20.0, 16.5),  # 64QAM
        (2, 40.0, 33.5),  # 256QAM
    ],
)
def test_the_sinr_is_lower_by_the_reduction_of_the_modulation(number, full_db, sinr_db):
    found = reduction_of(number).reached(np.array([10 ** (full_db / 10)]))
    assert linear_to_db(found) == pytest.approx(sinr_db, abs=1e-9)


def test_a_modulation_that_is_not_allowed_is_not_selected():
    """64QAM from 9.45 dB takes 12.95 dB; with 11.45 to 12.95 dB it stays just below 9.45 dB."""
    reduction, rates = reduction_of(1), TABLES[1]
    start_db = linear_to_db(reduction.starts[1])
    full = 10 ** (np.array([start_db + 2.01, start_db + 2.8, start_db + 3.49]) / 10)
    found = reduction.reached(full)
    np.testing.assert_allclose(linear_to_db(found), start_db, atol=1e-4)
    assert order_at(rates, found).tolist() == [4, 4, 4]
    assert order_at(rates, reduction.reached(10 ** np.array([(start_db + 3.51) / 10]))) == [6]


@pytest.mark.parametrize("number", [1, 2])
def test_it_is_the_highest_sinr_that_the_power_allows(number):
    """Of SINRs 0.01 dB apart, by the definition."""
    rates, reduction = TABLES[number], reduction_of(number)
    sinr_db = np.arange(-30.0, 45.0, 0.01)
    sinr = 10 ** (sinr_db / 10)
    taken_db = sinr_db + np.array([BY_ORDER_DB[k] for k in order_at(rates, sinr).tolist()])
    for full_db in np.arange(-20.0, 40.0, 0.37):
        best_db = sinr_db[taken_db <= full_db].max()
        found_db = linear_to_db(reduction.reached(np.array([10 ** (full_db / 10)])))[0]
        assert best_db - 1e-3 <= found_db <= best_db + 0.0101


@pytest.mark.parametrize("number", [1, 2])
def test_the_mcs_is_the_best_of_trying_each_at_its_own_power(number):
    """The goodput is that of the best MCS, each at the power that it allows.

    But for the steps of the table, 0.05 dB, and the point where both modulations are as good.
    """
    rates, reduction = TABLES[number], reduction_of(number)
    mcs = np.arange(len(rates.mcs))
    back_off = 10 ** (np.array([BY_ORDER_DB[k] for k in rates.mcs.modulation_order.tolist()]) / 10)

    def decoded(sinr, index):
        error = rates.block_error(sinr, index)
        bits = rates.mcs.spectral_efficiency[index] * (1 - error)
        return np.where((error <= rates.target_block_error) | (index == 0), bits, 0.0)

    for full in 10 ** np.arange(-0.5, 3.5, 0.023):
        best = decoded(full / back_off * 10**-0.006, mcs).max()
        sinr = reduction.reached(np.array([full]))
        assert decoded(sinr, rates.mcs_index(sinr))[0] >= 0.99 * best


def test_what_a_block_takes_up_gives_its_sinr_back():
    reduction = reduction_of(1)
    sinr = 10 ** np.arange(-2.0, 3.0, 0.0173)
    np.testing.assert_allclose(reduction.reached(sinr * reduction.factor(sinr)), sinr, rtol=2e-6)


def test_one_reduction_for_all_is_a_lower_limit_of_power():
    full = 10 ** np.linspace(-2, 4, 100)
    found = reduction_of(2, dict.fromkeys((2, 4, 6, 8), 3.0)).reached(full)
    np.testing.assert_allclose(found, full / 10**0.3, rtol=2e-6)
