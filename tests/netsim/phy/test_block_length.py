"""What short transport blocks lose: closed forms and published link curves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtri

from netsim.phy.block_error import MAX_CODE_BLOCK_BITS, code_block_error
from netsim.phy.block_length import length_loss_db
from netsim.phy.mcs import mcs_table

EFFICIENCY = mcs_table(1).spectral_efficiency

# SINR of 10 % errors [dB], read from Sionna's PDSCH table 1 by interpolation of log(BLER).
SIONNA_MCS = [3, 4, 5, 6, 7, 8, 9, 17, 18]
SIONNA_24_DB = [-0.99, 0.14, 0.91, 2.12, 2.98, 3.80, 4.35, 10.91, 11.66]
SIONNA_100_DB = [-2.22, -1.14, 0.00, 0.92, 2.08, 2.82, 3.92, 9.98, 10.46]
LONG_DB = [-3.15, -2.08, -0.95, 0.01, 0.95, 1.79, 2.57, 8.82, 9.41]


@pytest.mark.parametrize(
    ("size_bits", "read_db", "stated_db"), [(24, SIONNA_24_DB, 1.6), (100, SIONNA_100_DB, 1.0)]
)
def test_the_loss_is_that_of_published_link_curves(size_bits, read_db, stated_db):
    """The curves have points 1.8 dB apart; their loss is that over blocks of 8448 bits here."""
    loss_db = length_loss_db(
        size_bits, spectral_efficiency=EFFICIENCY[SIONNA_MCS], target_error=0.1
    )
    gap_db = loss_db - (np.array(read_db) - LONG_DB)
    assert abs(gap_db.mean()) < 0.25
    assert np.abs(gap_db).max() < 0.51
    assert loss_db[:7].mean() == pytest.approx(stated_db, abs=0.2)


@given(
    size_bits=st.integers(24, 8448), index=st.integers(0, 28), target_error=st.floats(0.001, 0.45)
)
def test_at_the_needed_sinr_the_capacity_less_the_deviation_is_the_rate(
    size_bits, index, target_error
):
    """``C - sqrt(V / n) Qinv(e) = R``, solved by bisection."""
    rate = EFFICIENCY[index]

    def needed(bits):
        def spare(snr):
            dispersion = (1 - (1 + snr) ** -2) * np.log2(np.e) ** 2
            symbols = bits / rate
            return np.log2(1 + snr) + np.sqrt(dispersion / symbols) * ndtri(target_error) - rate

        return brentq(spare, 1e-6, 1e4, xtol=1e-13, rtol=1e-13)

    expected_db = 10 * np.log10(needed(size_bits) / needed(8448))
    found_db = length_loss_db(size_bits, spectral_efficiency=rate, target_error=target_error)
    assert found_db == pytest.approx(expected_db, abs=1e-6)


def test_of_long_codes_the_loss_is_the_deviation_over_the_slope_of_the_capacity():
    """To first order ``dg / g = sqrt(V / n) Qinv(e) (1 + g) ln 2 / g``, of either length."""
    rate, q = 2.0, -ndtri(0.1)
    snr = 2.0**rate - 1
    deviation = np.sqrt(1 - (1 + snr) ** -2) * np.log2(np.e)
    slope = (1 + snr) * np.log(2) / snr
    relative = q * deviation * slope * np.sqrt(rate / np.array([6000.0, MAX_CODE_BLOCK_BITS]))
    expected_db = 10 / np.log(10) * (relative[0] - relative[1])
    found_db = length_loss_db(6000, spectral_efficiency=rate, target_error=0.1)
    assert found_db == pytest.approx(expected_db, rel=0.03)


def test_from_500_bits_it_is_that_of_the_error_rates_of_blocks():
    """Within 0.08 dB, where the third term of the error rate is small."""

    def ten_percent_db(index, size_bits):
        return brentq(
            lambda db: float(
                code_block_error(
                    10 ** (db / 10),
                    num_info_bits=size_bits,
                    spectral_efficiency=EFFICIENCY[index],
                    modulation_order=mcs_table(1).modulation_order[index],
                )
                - 0.1
            ),
            -15,
            30,
        )

    for index in (0, 9, 16):
        for size_bits in (500, 1000, 2000, 4000):
            expected_db = ten_percent_db(index, size_bits) - ten_percent_db(index, 8448)
            found_db = length_loss_db(
                size_bits, spectral_efficiency=EFFICIENCY[index], target_error=0.1
            )
            assert found_db == pytest.approx(expected_db, abs=0.08)


def test_shorter_blocks_lose_more_and_long_ones_nothing():
    size_bits = np.array([24, 32, 100, 1000, 8000, 8448, 8449, 100_000])
    loss_db = length_loss_db(size_bits, spectral_efficiency=EFFICIENCY[:, None], target_error=0.1)
    assert np.all(np.diff(loss_db[:, :6]) < 0)
    np.testing.assert_array_equal(loss_db[:, 5:], 0.0)


def test_of_even_odds_there_is_no_loss():
    """Half of all blocks fail at capacity, whatever their length."""
    assert length_loss_db(24, spectral_efficiency=1.0, target_error=0.5) == 0.0
    assert length_loss_db(24, spectral_efficiency=1.0, target_error=0.9) == 0.0
