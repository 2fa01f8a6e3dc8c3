"""Ladder step 14: the outer loop meets its error target."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.fading import Rayleigh
from netsim.link_adaptation import RateTable
from netsim.outer_loop import OuterLoop, simulate_outer_loop

TABLE = RateTable(code_block_bits=2000)


def faded_sinr(*, num_slots, num_links, mean_db, slot_s=0.5e-3):
    fading = Rayleigh(6)
    links, doppler = np.arange(num_links), np.full(num_links, 10.0)
    gains = [
        fading.power_gain(links, doppler_hz=doppler, at_s=k * slot_s, offset_hz=np.zeros(1))[:, 0]
        for k in range(num_slots)
    ]
    return 10 ** (mean_db / 10) * np.stack(gains)


def test_measured_error_rate_is_the_target_whatever_the_bias():
    """CQI 8 slots late and biased: the loop lands on 10 % of first transmissions all the same."""
    sinr = faded_sinr(num_slots=6008, num_links=20, mean_db=10.0)
    settled_db = {}
    for bias_db in (-2.0, 0.0, 3.0):
        trace = simulate_outer_loop(
            np.random.default_rng(1),
            OuterLoop(),
            table=TABLE,
            reported_sinr_linear=sinr[:-8] * 10 ** (bias_db / 10),
            true_sinr_linear=sinr[8:],
        )
        assert 0.08 < trace.is_error[1000:].mean() < 0.12
        settled_db[bias_db] = trace.margin_db[1000:].mean()
    assert settled_db[0.0] > 0.5  # late reports of a fading channel need a margin
    assert settled_db[3.0] - settled_db[0.0] == pytest.approx(3.0, abs=0.5)
    assert settled_db[-2.0] - settled_db[0.0] == pytest.approx(-2.0, abs=0.5)


def test_other_targets_are_met_too():
    sinr = np.full((8000, 30), 10.0)
    trace = simulate_outer_loop(
        np.random.default_rng(2),
        OuterLoop(target_block_error=0.3, step_up_db=0.2),
        table=TABLE,
        reported_sinr_linear=sinr,
        true_sinr_linear=sinr,
    )
    assert trace.is_error[2000:].mean() == pytest.approx(0.3, rel=0.05)


@given(margin_db=st.floats(-20, 20), is_received=st.booleans())
def test_margin_stays_within_its_limits(margin_db, is_received):
    loop = OuterLoop()
    moved_db = loop.next_margin_db(np.array([margin_db]), is_received=np.array([is_received]))[0]
    assert -20 <= moved_db <= 20
    assert (moved_db <= margin_db) == is_received or abs(margin_db) == 20


def test_steps_balance_at_the_target():
    loop = OuterLoop(target_block_error=0.1, step_up_db=1.0)
    assert loop.step_up_db / loop.step_down_db == pytest.approx(9.0)
