"""FedCS: the greedy order against its definition, and the largest set where greedy finds it."""

import itertools

import numpy as np
import pytest

from fl.policies import fedcs
from fl.policies.fedcs import FedCsPolicy, FedCsPolicyConfig, fedcs_order
from fl.policies.view import NobodyFitsError
from tests.fl.policies.views import Foreseen, view

MB = 125_000  # bytes that take 1 s at 1 Mbit/s


def by_definition(ready_s, upload_s, *, round_s):
    """Rows and ends, one by one; of those that wait, the shortest upload even where ends round."""
    left, chosen, ends_s, now = np.ones(len(ready_s), dtype=bool), [], [], 0.0
    while left.any():
        # the end of the round with each; of equals the first
        end_s = np.where(left, np.maximum(now, ready_s) + upload_s, np.inf)
        waiting = np.flatnonzero(left & (ready_s <= now))
        end_s[np.delete(waiting, upload_s[waiting].argmin() if len(waiting) else [])] = np.inf
        best = int(end_s.argmin())
        if end_s[best] > round_s:
            break
        left[best], now = False, end_s[best]
        chosen.append(best)
        ends_s.append(now)
    return chosen, ends_s


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
    expected = by_definition(ready_s, upload_s, round_s=round_s)
    assert (chosen.tolist(), ends_s.tolist()) == expected
    now = 0.0
    for k, end_s in zip(chosen, ends_s, strict=True):
        now = max(now, ready_s[k]) + upload_s[k]
        assert end_s == now <= round_s


READY = {
    "at once": lambda rng, num: np.zeros(num),
    "whole seconds": lambda rng, num: rng.integers(0, 60, size=num) * 1.0,
    "lognormal": lambda rng, num: rng.lognormal(2.0, 1.0, size=num),
    "two groups": lambda rng, num: rng.uniform(0.0, 3.0, num) + 40.0 * rng.integers(2, size=num),
    "four instants": lambda rng, num: 16.0 * rng.integers(4, size=num),
    "some never": lambda rng, num: np.where(rng.random(num) < 0.3, np.inf, rng.uniform(0, 60, num)),
}
UPLOAD = {
    "whole seconds": lambda rng, num: rng.integers(1, 5, size=num) * 1.0,
    "equal": lambda rng, num: np.full(num, 0.5),
    "lognormal": lambda rng, num: rng.lognormal(0.0, 1.0, size=num),
    "tiny to large": lambda rng, num: 10.0 ** rng.integers(-18, 3, num) * rng.random(num),
    "equal but for rounding": lambda rng, num: 0.75 + rng.integers(8, size=num) * 2.0**-50,
    "some never": lambda rng, num: np.where(rng.random(num) < 0.5, np.inf, rng.uniform(1, 3, num)),
    "the late are fast": lambda rng, num: np.linspace(4.0, 0.25, num),
}


@pytest.mark.parametrize("upload", UPLOAD)
@pytest.mark.parametrize("ready", READY)
def test_many_clients_are_ordered_as_by_the_definition(ready, upload):
    for seed in range(6):
        rng = np.random.default_rng([seed, len(ready), len(upload)])
        num = int(rng.integers(100, 500))
        ready_s, upload_s = READY[ready](rng, num), UPLOAD[upload](rng, num)
        if upload == "the late are fast":
            ready_s = np.sort(ready_s)
        round_s = float(rng.choice([0.125, 16.0, 60.0, 64.0]))
        chosen, ends_s = fedcs_order(ready_s, upload_s, round_s=round_s)
        expected = by_definition(ready_s, upload_s, round_s=round_s)
        assert (chosen.tolist(), ends_s.tolist()) == expected, (seed, round_s)


def from_the_start(rng):
    return rng.uniform(0.0, 9.0, 800)


def after_a_gap(rng):
    return rng.uniform(0.0, 9.0, 800) + np.where(np.arange(800) < 266, 20.0, 0.0)


def before_and_after_a_gap(rng):
    return np.where(np.arange(800) < 40, 0.0, after_a_gap(rng) + 10.0)


def before_a_gap_and_at_an_instant(rng):
    return np.where(np.arange(800) < 40, 0.0, np.where(np.arange(800) < 266, 55.0, 10.0))


@pytest.mark.parametrize(
    ("ready", "num_tries"),
    [
        (from_the_start, 1),
        (after_a_gap, 2),
        (before_and_after_a_gap, 2),
        (before_a_gap_and_at_an_instant, 2),
    ],
)
def test_a_list_of_short_uploads_is_enough_unless_none_of_them_waits(ready, num_tries, monkeypatch):
    tried = []

    def watched(ready_s, upload_s, **settings):
        tried.append(len(ready_s))
        return in_order(ready_s, upload_s, **settings)

    in_order = fedcs._in_order
    monkeypatch.setattr(fedcs, "_in_order", watched)
    rng = np.random.default_rng(4)
    upload_s = np.concatenate([rng.uniform(0.3, 0.4, 266), rng.uniform(0.8, 4.0, 534)])
    ready_s = ready(rng)
    chosen, ends_s = fedcs_order(ready_s, upload_s, round_s=64.0)
    expected = by_definition(ready_s, upload_s, round_s=64.0)
    assert (chosen.tolist(), ends_s.tolist()) == expected
    assert len(tried) == num_tries
    assert tried[0] < 300


def test_ends_that_are_equal_only_after_rounding_go_to_the_first_row():
    # Uploads of 0.75 s and ends at its multiples, all but for a few units in the last place.
    for seed in range(60):
        rng = np.random.default_rng(seed)
        ready_s = 0.75 * rng.integers(22, size=500) + rng.integers(9, size=500) * 2.0**-52
        upload_s = 0.75 + rng.integers(64, size=500) * 2.0**-53
        chosen, ends_s = fedcs_order(ready_s, upload_s, round_s=16.0)
        expected = by_definition(ready_s, upload_s, round_s=16.0)
        assert (chosen.tolist(), ends_s.tolist()) == expected, seed


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
