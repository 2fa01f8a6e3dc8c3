"""The wait for the last retransmissions of a transfer."""

import numpy as np
import pytest

from netsim.config.radio import RayleighFading
from netsim.engines.harq_processes import HarqProcesses
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.harq import MAX_TRANSMISSIONS, ROUND_TRIP_SLOTS
from netsim.phy_abstraction.last_blocks import (
    blocks_a_round_trip,
    failure_probabilities,
    wait_slots,
)
from tests.netsim.engines.test_harq_processes import send
from tests.netsim.worlds import make_network, plain_radio, still_world


def mean_wait_slots(failure, *, slots_apart=1.0, num_draws=20_000, seed=1):
    """Mean over draws, of blocks that all fail with the same probabilities."""
    num_blocks = blocks_a_round_trip(slots_apart)
    levels = np.random.default_rng(seed).random((num_draws, num_blocks))
    failures = np.tile(np.array(failure)[:, None], num_blocks)
    return np.mean([wait_slots(failures, slots_apart=slots_apart, level=each) for each in levels])


@pytest.mark.parametrize("error", [0.02, 0.1, 0.4])
def test_mean_wait_when_second_transmissions_are_decoded(error):
    """The latest of eight blocks in error, less what the retransmissions themselves take."""
    k = np.arange(ROUND_TRIP_SLOTS)
    expected = np.sum(error * (1 - error) ** k * (ROUND_TRIP_SLOTS - k)) - error * ROUND_TRIP_SLOTS
    assert mean_wait_slots([error, 0.0, 0.0]) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("error", [0.05, 0.3])
def test_it_is_how_much_later_a_transfer_of_processes_ends(error):
    """HARQ processes slot by slot: the end of 200 transfers, less blocks times transmissions."""
    num_transfers, num_blocks = 200, 60
    bank = HarqProcesses(3)
    for transfer_id in range(num_transfers):
        bank.append(transfer_id, 100.0 * num_blocks)
    arrived, ends, sent = np.zeros((3, num_transfers))
    for slot in range(200):
        attempt, bits, _ = send(bank, slot, error=error)
        sent[attempt.rows] += 1
        arrived[attempt.rows] += bits
        ends[attempt.rows] = slot + 1
    np.testing.assert_allclose(arrived, 100.0 * num_blocks)
    late = ends - sent
    failure = error ** np.arange(1, MAX_TRANSMISSIONS)
    assert mean_wait_slots(failure) == pytest.approx(late.mean(), abs=4 * late.std() / 200**0.5)


def wait(*times, slots_apart=1.0):
    """The wait when blocks, the last one first, are in error so many times."""
    failure = np.tile(np.array([0.3, 0.2, 0.1])[:, None], len(times))
    level = np.array([0.35, 0.25, 0.15, 0.05])[list(times)]
    return wait_slots(failure, slots_apart=slots_apart, level=level)


def test_the_latest_of_the_blocks_in_error_decides():
    assert wait(0, 0, 0, 0, 0, 0, 0, 0) == 0.0
    # two blocks before the last one: decoded six slots after it, in one slot of its own
    assert wait(0, 0, 1, 0, 0, 0, 0, 0) == 5.0
    assert wait(0, 0, 2, 0, 0, 0, 0, 0) == 12.0
    assert wait(0, 0, 1, 0, 0, 1, 0, 0) == 4.0
    assert wait(1, 1, 1, 1, 1, 1, 1, 1) == 0.0
    assert wait(1) == 7.0
    # of every fourth slot, two a round trip
    assert blocks_a_round_trip(4.0) == 2
    assert wait(1, 0, slots_apart=4.0) == 4.0
    assert wait(0, 1, slots_apart=4.0) == 0.0


@pytest.mark.parametrize("is_uplink", [True, False])
def test_failures_of_fading_blocks_one_by_one(is_uplink):
    """MCS by what was measured less the margin, SINRs of the transmissions added up."""
    world = still_world([(100.0, 0.0)], line_of_sight="never")
    _, network = make_network(world, plain_radio(fading=RayleighFading()))
    air, sinr = network.air, 10.0
    lengths = air.uplink_lengths if is_uplink else air.downlink_lengths
    errors = BlockErrorTable(air.rates)
    known, met = np.array([0.2, 1.0, 3.0]), np.array([[0.15, 0.9, 3.1], [0.1, 0.4, 0.5]])
    found = failure_probabilities(
        air,
        errors,
        mean_sinr=sinr,
        known_fade=known,
        fade=met,
        blocks=51.0,
        is_uplink=is_uplink,
    )
    margin_db = air.initial_margin_db(
        lengths.equivalent_sinr(np.array([sinr]), np.array([51])), is_uplink=is_uplink
    )
    assert margin_db[0] > 0.1
    for k in range(3):
        held = np.array([51])
        mcs = lengths.mcs_index(sinr * known[k : k + 1] / 10 ** (margin_db / 10), held)
        needed = lengths.factor(mcs, held)
        first, second = (errors.lookup(sinr * met[:n, k].sum() / needed, mcs) for n in (1, 2))
        np.testing.assert_allclose(found[:, k], [first[0], first[0] * second[0]])


@pytest.mark.parametrize("sinr_db", [-4.0, 7.3, 15.1])
def test_without_fading_it_is_the_error_rate_of_the_selected_mcs(sinr_db):
    _, network = make_network(still_world([(100.0, 0.0)]), plain_radio())
    air = network.air
    errors = BlockErrorTable(air.rates)
    sinr, blocks = 10 ** (sinr_db / 10), np.array([12])
    mcs = air.uplink_lengths.mcs_index(np.array([sinr]), blocks)
    needed = air.uplink_lengths.factor(mcs, blocks)
    first, second = (errors.lookup(n * sinr / needed, mcs)[0] for n in (1, 2))
    found = failure_probabilities(
        air,
        errors,
        mean_sinr=sinr,
        known_fade=np.ones(1),
        fade=np.ones((2, 1)),
        blocks=12.2,
        is_uplink=True,
    )
    np.testing.assert_allclose(found[:, 0], [first, first * second])
    assert 0 < first <= 0.1
