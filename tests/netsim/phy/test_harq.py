"""Chase combining."""

import numpy as np
import pytest
from scipy.optimize import brentq

from netsim.phy.block_error import code_block_error
from netsim.phy.harq import chase_combining


def qpsk_error(sinr_linear):
    return code_block_error(
        sinr_linear, num_info_bits=1000, spectral_efficiency=1.0, modulation_order=2
    )


def test_second_copy_is_worth_3_01_db(ladder):
    """What the second attempt loses at some SINR, a first one loses 3.01 dB above it."""

    def lost(sinr_db, attempt):
        sinr = np.array([10 ** (sinr_db / 10)])
        first, both = (
            float(chase_combining(qpsk_error, sinr, max_transmissions=n).residual_error[0])
            for n in (1, 2)
        )
        return first if attempt == 1 else both / first

    one_db, two_db = (brentq(lambda db, n=n: lost(db, n) - 0.1, -8, 8) for n in (1, 2))
    ladder.near(
        13,
        "chase combining of two copies",
        source="10 log10 2",
        measured=one_db - two_db,
        expected=3.0103,
        tolerance=0.01,
        unit="dB",
    )


def test_constant_error_rate_is_a_geometric_series():
    outcome = chase_combining(
        lambda sinr: np.full(np.shape(sinr), 0.2), np.ones(3), max_transmissions=4
    )
    np.testing.assert_allclose(outcome.mean_transmissions, 1 + 0.2 + 0.04 + 0.008, rtol=1e-12)
    np.testing.assert_allclose(outcome.residual_error, 0.2**4, rtol=1e-12)


def test_outcome_matches_a_simulated_sequence_of_attempts():
    sinr = np.array([0.35, 0.45, 0.9])
    outcome = chase_combining(qpsk_error, sinr)
    rng = np.random.default_rng(11)
    num_blocks = 40_000
    for place, one in enumerate(sinr):
        sent = np.zeros(num_blocks)
        is_wrong = np.ones(num_blocks, dtype=bool)
        for attempt in range(1, 5):
            sent += is_wrong
            is_wrong &= rng.random(num_blocks) < qpsk_error(attempt * one)
        half_sent = 4 * sent.std() / np.sqrt(num_blocks) + 1e-4
        assert abs(sent.mean() - outcome.mean_transmissions[place]) <= half_sent
        residual = outcome.residual_error[place]
        half_wrong = 4 * np.sqrt(residual * (1 - residual) / num_blocks) + 1e-4
        assert abs(is_wrong.mean() - residual) <= half_wrong


def test_extremes():
    good = chase_combining(qpsk_error, np.array([100.0]))
    assert good.mean_transmissions[0] == pytest.approx(1.0)
    bad = chase_combining(qpsk_error, np.array([0.0]))
    assert (bad.mean_transmissions[0], bad.residual_error[0]) == (4.0, 1.0)


def test_no_transmission_is_refused():
    with pytest.raises(ValueError, match="max_transmissions: must be >= 1"):
        chase_combining(qpsk_error, np.ones(1), max_transmissions=0)


def test_one_transmission_is_the_first_and_the_last():
    outcome = chase_combining(qpsk_error, np.array([0.5, 0.9]), max_transmissions=1)
    assert outcome.mean_transmissions.tolist() == [1.0, 1.0]
    np.testing.assert_array_equal(outcome.residual_error, qpsk_error(np.array([0.5, 0.9])))
