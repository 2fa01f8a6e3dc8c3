"""Ladder step 14: the outer loop meets its error target."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.channel.fading import Rayleigh
from netsim.engines.outer_loop_margins import OuterLoopMargins
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.harq import ROUND_TRIP_SLOTS
from netsim.phy.link_adaptation import RateTable
from netsim.phy.outer_loop import OuterLoop
from netsim.phy_abstraction.goodput import KnownChannel

TABLE = RateTable(code_block_bits=2000)


def faded_sinr(*, num_slots, num_links, mean_db, slot_s=0.5e-3):
    fading = Rayleigh(6)
    links, doppler = np.arange(num_links), np.full(num_links, 10.0)
    gains = [
        fading.power_gain(links, doppler_hz=doppler, at_s=k * slot_s, offset_hz=np.zeros(1))[:, 0]
        for k in range(num_slots)
    ]
    return 10 ** (mean_db / 10) * np.stack(gains)


def run_loop(loop, *, reported, true, table=TABLE):
    """Every link sends one new block in each slot; give errors, MCS (slot, link), margins."""
    bank, exact = OuterLoopMargins(loop), BlockErrorTable(table)
    num_slots, num_links = true.shape
    for _ in range(num_links):
        bank.add()
    rows = np.arange(num_links)
    uniform = np.random.default_rng(1).random(true.shape)
    is_error, mcs = np.empty(true.shape, dtype=bool), np.empty(true.shape, dtype=int)
    for slot in range(num_slots):
        bank.listen(slot)
        mcs[slot] = table.mcs_index(bank.corrected(rows, reported[slot]))
        is_error[slot] = uniform[slot] < exact.lookup(true[slot], mcs[slot])
        bank.report(
            rows,
            is_received=~is_error[slot],
            is_lowest=mcs[slot] == table.mcs_in_use[0],
            is_highest=mcs[slot] == table.mcs_in_use[-1],
        )
    return is_error, mcs, bank.margin_db


def test_measured_error_rate_is_the_target_whatever_the_bias(ladder):
    """CQI 8 slots late and biased: the loop lands on 10 % of first transmissions all the same."""
    sinr = faded_sinr(num_slots=5008, num_links=20, mean_db=10.0)
    settled_db = {}
    for bias_db in (-2.0, 0.0, 3.0):
        is_error, mcs, margin_db = run_loop(
            OuterLoop(), reported=sinr[:-8] * 10 ** (bias_db / 10), true=sinr[8:]
        )
        between = (mcs[1000:] > TABLE.mcs_in_use[0]) & (mcs[1000:] < TABLE.mcs_in_use[-1])
        ladder.near(
            14,
            "first transmissions in error under the outer loop",
            source="its target, whatever the bias of reports",
            measured=is_error[1000:][between].mean(),
            expected=0.1,
            tolerance=0.01,
        )
        settled_db[bias_db] = margin_db.mean()
    assert settled_db[0.0] > 0.5  # late reports of a fading channel need a margin
    assert settled_db[3.0] - settled_db[0.0] == pytest.approx(3.0, abs=0.5)
    assert settled_db[-2.0] - settled_db[0.0] == pytest.approx(-2.0, abs=0.5)


@pytest.mark.parametrize(("target", "sinr_db"), [(0.1, 10.0), (0.3, 10.0), (0.1, 9.4)])
def test_a_steady_link_gets_what_the_settled_loop_promises(target, sinr_db):
    """Other targets are met too; bits per transmission are those of the closed form."""
    table = RateTable(code_block_bits=2000, target_block_error=target)
    sinr = np.full((6000, 30), 10 ** (sinr_db / 10))
    is_error, mcs, _ = run_loop(
        OuterLoop(target_block_error=target), reported=sinr, true=sinr, table=table
    )
    settled = is_error[2000:]
    assert settled.mean() == pytest.approx(target, rel=0.02)
    # A second copy of a block is 3 dB better and gets through.
    bits = table.mcs.spectral_efficiency[mcs[2000:]].sum() / (settled.size + settled.sum())
    known = KnownChannel(table, has_outer_loop=True)
    assert bits == pytest.approx(float(known.efficiency(sinr[0, :1])[0]), rel=0.003)


def test_a_margin_without_effect_stays():
    """At both ends of the MCS a margin could run away: nothing more to gain or to save."""
    for sinr in (1e-4, 1e6):
        margin_db = run_loop(
            OuterLoop(), reported=np.full((500, 2), sinr), true=np.full((500, 2), sinr)
        )[2]
        assert margin_db.tolist() == [0.0, 0.0]


@given(
    gaps=st.lists(st.integers(1, 3 * ROUND_TRIP_SLOTS), min_size=1, max_size=20),
    outcomes=st.integers(0, 2**20 - 1),
)
def test_lessons_come_a_round_trip_late_and_none_is_lost(gaps, outcomes):
    loop = OuterLoop(step_up_db=1.0)
    bank = OuterLoopMargins(loop)
    bank.add()
    no = np.array([False])
    due, slot = [], 0
    for k, gap in enumerate(gaps):
        slot += gap
        bank.listen(slot)
        come = sum(step for at, step in due if at + ROUND_TRIP_SLOTS <= slot)
        assert bank.margin_db[0] == pytest.approx(come, abs=1e-9)
        is_received = np.array([bool(outcomes >> k & 1)])
        bank.report(np.array([0]), is_received=is_received, is_lowest=no, is_highest=no)
        due.append((slot, -loop.step_down_db if is_received[0] else loop.step_up_db))


def test_margins_stay_within_limits_and_with_their_transfers():
    bank = OuterLoopMargins(OuterLoop(step_up_db=3.0))
    for _ in range(3):
        bank.add()
    no = np.zeros(2, dtype=bool)
    for slot in range(100):
        bank.listen(slot)
        bank.report(np.array([1, 2]), is_received=no, is_lowest=no, is_highest=no)
    bank.keep(np.array([True, False, True]))
    assert bank.margin_db.tolist() == [0.0, 20.0]


def test_steps_balance_at_the_target():
    loop = OuterLoop(target_block_error=0.1, step_up_db=1.0)
    assert loop.step_up_db / loop.step_down_db == pytest.approx(9.0)


def test_steps_of_the_margin_at_both_ends_and_between():
    loop = OuterLoop(target_block_error=0.2, step_up_db=0.4)
    assert loop.step_down_db == pytest.approx(0.1)
    received, lowest, highest = (
        np.array(column, dtype=bool)
        for column in zip(*itertools.product([0, 1], repeat=3), strict=True)
    )
    found_db = loop.step_db(is_received=received, is_lowest=lowest, is_highest=highest)
    # A NACK counts unless the MCS is the lowest, an ACK unless it is the highest.
    assert found_db == pytest.approx([0.4, 0.4, 0.0, 0.0, -0.1, 0.0, -0.1, 0.0])
