"""FedCS: the greedy order against its definition, and the largest set where greedy finds it."""

import itertools

import numpy as np
import pytest

from fl.policies.fedcs import FedCsPolicy, FedCsPolicyConfig, fedcs_order
from fl.policies.view import NobodyFitsError
from tests.fl.policies.views import Foreseen, view

MB = 125_000  # bytes that take 1 s at 1 Mbit/s


def by_definition(ready_s, upload_s, *, round_s):
    left, chosen, now = set(range(len(ready_s))), [], 0.0
    while left:
        # the time that each adds to the round; of equals the first
        end = {k: max(now, ready_s[k]) + upload_s[k] for k in left}
        best = min(left, key=lambda k: (end[k], k))
        left.remove(best)
        if end[best] <= round_s:
            chosen.append(best)
            now = end[best]
    return chosen


def largest(ready_s, upload_s, *, round_s):
    """Number of clients of the largest set that can be received in time, in the best order."""
    for size in range(len(ready_s), 0, -1):
        for order in itertools.permutations(range(len(ready_s)), size):
            now = 0.0
            for k in order:
                now = max(now, ready_s[k]) + upload_s[k]
            if now <= round_s:
                return size
    return 0


@pytest.mark.parametrize("seed", range(40))
def test_the_order_is_that_of_the_definition(seed):
    rng = np.random.default_rng(seed)
    num = int(rng.integers(1, 60))
    # whole numbers of quarters: many equals, and sums without rounding
    ready_s = rng.integers(0, 40, size=num) / 4
    upload_s = rng.integers(1, 12, size=num) / 4
    round_s = float(rng.integers(1, 120)) / 4
    chosen, ends_s = fedcs_order(ready_s, upload_s, round_s=round_s)
    assert chosen.tolist() == by_definition(ready_s, upload_s, round_s=round_s)
    now = 0.0
    for k, end_s in zip(chosen, ends_s, strict=True):
        now = max(now, ready_s[k]) + upload_s[k]
        assert end_s == now <= round_s


@pytest.mark.parametrize("seed", range(12))
def test_it_finds_the_largest_set_when_all_are_ready_at_once_or_uploads_are_equal(seed):
    rng = np.random.default_rng(seed)
    some_s = rng.uniform(0.5, 4.0, size=6)
    for ready_s, upload_s in [(np.full(6, 1.0), some_s), (some_s, np.full(6, 1.5))]:
        chosen, _ = fedcs_order(ready_s, upload_s, round_s=6.0)
        assert len(chosen) == largest(ready_s, upload_s, round_s=6.0) > 0


@pytest.mark.parametrize("seed", range(8))
def test_it_never_finds_more_than_there_is(seed):
    rng = np.random.default_rng(seed)
    ready_s, upload_s = rng.uniform(0.0, 4.0, size=(2, 6))
    chosen, _ = fedcs_order(ready_s, upload_s, round_s=5.0)
    assert len(chosen) <= largest(ready_s, upload_s, round_s=5.0)


def test_an_endless_round_takes_all_but_those_that_cannot_be_reached():
    rate = [1e6, 2e6, 0.0, 4e6]
    forecast = Foreseen(compute_s=np.array([9.0, 1.0, 1.0, 5.0]))
    seen = view(4, uplink_rate_bps=rate, cell_id=[0, 0, -1, 0], forecast=forecast)
    policy = FedCsPolicy(FedCsPolicyConfig(round_s=1e9))
    assert sorted(policy.select(seen, rng=None)) == [0, 1, 3]


def test_the_rule_by_hand():
    # ready at 1, 2, 8; uploads of 3, 1, 1: first 1 (at 3), then 0 (at 6), then 2 (at 9)
    forecast = Foreseen(compute_s=np.array([1.0, 2.0, 8.0]), upload_bytes=np.array([3, 1, 1]) * MB)
    chosen = {
        round_s: FedCsPolicy(FedCsPolicyConfig(round_s=round_s)).select(
            view(3, forecast=forecast), rng=None
        )
        for round_s in (3.0, 8.9, 9.0)
    }
    assert chosen == {3.0: [1], 8.9: [1, 0], 9.0: [1, 0, 2]}


def test_cells_do_not_wait_for_each_other():
    forecast = Foreseen(compute_s=0.0, upload_bytes=2.0 * MB)
    policy = FedCsPolicy(FedCsPolicyConfig(round_s=4.0))
    assert len(policy.select(view(6, forecast=forecast), rng=None)) == 2
    seen = view(6, cell_id=[0, 0, 0, 1, 1, 1], forecast=forecast)
    assert sorted(policy.select(seen, rng=None)) == [0, 1, 3, 4]


def test_a_round_that_nobody_makes_is_told_with_the_time_it_needs():
    policy = FedCsPolicy(FedCsPolicyConfig(round_s=1.5))
    with pytest.raises(NobodyFitsError, match=r"^round_s: no client is done in 1\.5 s, .* in 2 s$"):
        policy.select(view(3), rng=None)


def test_some_are_drawn():
    policy = FedCsPolicy(FedCsPolicyConfig(round_s=1e9, num_candidates=3))
    drawn = {tuple(sorted(policy.select(view(9), rng=np.random.default_rng(s)))) for s in range(20)}
    assert all(len(each) == 3 for each in drawn)
    assert len(drawn) > 5
