"""HARQ processes: no bit is lost or made, repetitions wait for the round trip."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.engines.harq_processes import NUM_PROCESSES, HarqProcesses
from netsim.phy.harq import MAX_TRANSMISSIONS, ROUND_TRIP_SLOTS


def send(bank, slot, *, error, size_bits=100.0, sinr=1.0):
    rows = np.arange(len(bank))
    attempt = bank.attempt(
        rows,
        slot=slot,
        blocks=np.full(len(rows), 4.0),
        mcs=np.full(len(rows), 5),
        size_bits=np.full(len(rows), size_bits),
        needed_sinr=np.ones(len(rows)),
    )
    ones = np.ones(len(attempt.rows))
    combined = bank.combine(attempt, blocks=4.0 * ones, sinr=sinr * ones)
    wrong = np.full(len(attempt.rows), error)
    bits = bank.settle(
        attempt, slot=slot, error=wrong, may_retransmit=np.ones(len(attempt.rows), dtype=bool)
    )
    return attempt, bits, combined


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), error=st.floats(0.0, 0.7))
def test_every_bit_arrives_once(seed, error):
    bank = HarqProcesses(seed)
    for transfer_id in range(3):
        bank.append(transfer_id, 1234.0 + transfer_id)
    arrived = np.zeros(3)
    # Bits of blocks that wait for a repetition, and copies sent so far.
    waiting, copies = np.zeros((3, NUM_PROCESSES)), np.zeros((3, NUM_PROCESSES), dtype=int)
    for slot in range(800):
        attempt, bits, _ = send(bank, slot, error=error)
        arrived[attempt.rows] += bits
        at = np.divmod(attempt.entry, NUM_PROCESSES)
        copies[at] = np.where(attempt.is_retransmission, copies[at] + 1, 1)
        is_over = (bits > 0) | (copies[at] == MAX_TRANSMISSIONS)
        waiting[at] = np.where(is_over, 0.0, attempt.bits)
        everything = arrived + bank.unsent_bits + waiting.sum(axis=1)
        np.testing.assert_allclose(everything, [1234.0, 1235.0, 1236.0])
    np.testing.assert_allclose(arrived, [1234.0, 1235.0, 1236.0])


def test_copies_add_up_and_wait_for_the_round_trip():
    bank = HarqProcesses(0)
    bank.append(0, 100.0)
    seen = []
    for slot in range(MAX_TRANSMISSIONS * ROUND_TRIP_SLOTS + 1):
        _, bits, combined = send(bank, slot, error=1.0, sinr=2.0)
        assert bits.sum() == 0
        seen += [(slot, float(sinr)) for sinr in combined]
    expected = [(k * ROUND_TRIP_SLOTS, 2.0 * (k + 1)) for k in range(MAX_TRANSMISSIONS)]
    assert seen[:MAX_TRANSMISSIONS] == expected
    # Given up after the last copy: the bits are sent anew, from one copy.
    assert seen[MAX_TRANSMISSIONS] == (expected[-1][0] + 1, 2.0)


def test_rows_follow_their_transfers():
    bank = HarqProcesses(0)
    for transfer_id in range(3):
        bank.append(transfer_id, 100.0 * (transfer_id + 1))
    bank.keep(np.array([True, False, True]))
    assert bank.unsent_bits.tolist() == [100.0, 300.0]
