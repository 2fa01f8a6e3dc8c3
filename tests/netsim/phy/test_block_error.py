"""Ladder step 13: 10 % points of the block error rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from netsim.phy.block_error import code_block_error
from netsim.phy.mcs import mcs_table

TABLE = mcs_table(1)

# 10 % points [dB] read from Sionna's PDSCH table 1, blocks of 2000 bits, MCS 3 to 28.
SIONNA_2000_DB = [-2.92, -2.45, -1.13, 0.46, 0.65, 2.33, 2.44, 2.84, 4.15, 4.49, 5.95, 6.23, 7.78]
SIONNA_2000_DB += [7.80, 8.73, 9.74, 10.03, 11.57, 12.24, 13.37, 14.30, 14.94, 16.49, 17.02]
SIONNA_2000_DB += [18.35, 18.97]

# The same form evaluated by an independent script, blocks of 8448 bits, MCS 0 to 28.
SCRIPT_8448_DB = [-6.75, -5.47, -4.46, -3.15, -2.08, -0.95, 0.01, 0.95, 1.79, 2.57, 2.97, 3.69]
SCRIPT_8448_DB += [4.68, 5.60, 6.59, 7.52, 8.12, 8.82, 9.41, 10.45, 11.44, 12.40, 13.35, 14.35]
SCRIPT_8448_DB += [15.34, 16.26, 17.19, 17.86, 18.55]


def error_at(sinr_db, index, num_info_bits, table=TABLE):
    return code_block_error(
        10 ** (sinr_db / 10),
        num_info_bits=num_info_bits,
        spectral_efficiency=table.spectral_efficiency[index],
        modulation_order=table.modulation_order[index],
    )


def ten_percent_db(index, num_info_bits):
    return brentq(lambda db: float(error_at(db, index, num_info_bits)) - 0.1, -15, 30)


def test_thresholds_match_an_independent_script():
    found_db = [ten_percent_db(index, 8448) for index in range(29)]
    np.testing.assert_allclose(found_db, SCRIPT_8448_DB, rtol=0, atol=0.012)


def test_thresholds_match_published_link_curves(ladder):
    found_db = [ten_percent_db(index, 2000) for index in range(3, 29)]
    gap_db = found_db - np.array(SIONNA_2000_DB)
    ladder.near(
        13,
        "SINR of 10 % block errors, MCS 3 to 28, 2000 bits",
        source="curves of Sionna, PDSCH table 1",
        measured=found_db,
        expected=SIONNA_2000_DB,
        tolerance=0.6,
        unit="dB",
    )
    assert abs(gap_db.mean()) < 0.15
    # Refitting the gaps to these 26 points alone would leave 0.308 dB.
    assert gap_db.std() < 0.32


@given(
    index=st.integers(0, 28),
    sinr_db=st.floats(-20, 40),
    step_db=st.floats(0, 10),
    num_info_bits=st.integers(24, 8448),
)
def test_error_falls_with_sinr(index, sinr_db, step_db, num_info_bits):
    low, high = error_at(np.array([sinr_db, sinr_db + step_db]), index, num_info_bits)
    assert 0 <= high <= low <= 1


@given(index=st.integers(0, 28), sinr_db=st.floats(-10, 25))
def test_error_of_longer_blocks_is_steeper(index, sinr_db):
    """Beyond the point where longer blocks win they win everywhere above."""
    short, long = error_at(sinr_db, index, 200), error_at(sinr_db, index, 8000)
    if short < 0.05:
        assert long <= short


def test_no_signal_is_certain_error():
    assert code_block_error(
        0.0, num_info_bits=1000, spectral_efficiency=1.0, modulation_order=2
    ) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_info_bits": 0}, "num_info_bits: must be within 1 and 8448"),
        ({"num_info_bits": 9000}, "num_info_bits: must be within 1 and 8448"),
        ({"modulation_order": 3}, "modulation_order: must be 2, 4, 6 or 8, got 3"),
    ],
)
def test_impossible_blocks_are_refused(changes, message):
    settings = {"num_info_bits": 100, "spectral_efficiency": 1.0, "modulation_order": 2}
    with pytest.raises(ValueError, match=message):
        code_block_error(1.0, **(settings | changes))


def test_the_shortest_and_longest_blocks_are_allowed():
    for bits in (1, 8448):
        error = code_block_error(
            1e6, num_info_bits=bits, spectral_efficiency=1.0, modulation_order=2
        )
        assert error == pytest.approx(0.0, abs=1e-12)


def test_the_value_that_is_wrong_is_named():
    settings = {"spectral_efficiency": 1.0, "modulation_order": np.array([2, 5])}
    with pytest.raises(ValueError, match="got 5"):
        code_block_error(1.0, num_info_bits=100, **settings)
    settings["modulation_order"] = 2
    with pytest.raises(ValueError, match="got 0"):
        code_block_error(1.0, num_info_bits=np.array([100, 0]), **settings)
    with pytest.raises(ValueError, match="got 8449"):
        code_block_error(1.0, num_info_bits=np.array([100, 8449]), **settings)
