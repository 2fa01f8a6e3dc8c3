"""Virtual queues keep the mean energy of every client within its budget."""

import numpy as np
import pytest

from fl.policies.lyapunov import LyapunovPolicy, LyapunovPolicyConfig
from tests.fl.policies.views import Foreseen, view

NUM, ROUNDS = 20, 1000


def mean_j(policy, *, seed=3, away=0.0):
    """Let a policy select for 1,000 rounds; participations take what was foreseen, or 10 % off."""
    rng = np.random.default_rng(seed)
    compute_j = rng.uniform(2.0, 12.0, size=NUM)
    spent_j, times, worst_j = np.zeros(NUM), np.zeros(NUM, dtype=int), 0.0
    for round_id in range(1, ROUNDS + 1):
        rate = rng.exponential(1e6, size=NUM) + 1e5
        is_there = np.flatnonzero(rng.random(NUM) >= away)
        seen = view(
            round_id=round_id,
            client_id=is_there,
            uplink_rate_bps=rate[is_there],
            times_selected=times[is_there],
            spent_j=spent_j[is_there],
            forecast=Foreseen(compute_j=compute_j),
        )
        chosen = policy.select(seen, rng=None)
        took_j = (compute_j + 1e6 / rate)[chosen] * rng.uniform(0.9, 1.1, size=len(chosen))
        worst_j = max(worst_j, float(took_j.max()))
        spent_j[chosen] += took_j
        times[chosen] += 1
    return spent_j / ROUNDS, times, worst_j


@pytest.mark.parametrize("away", [0.0, 0.3])
def test_mean_energy_stays_within_the_budget_over_1000_rounds(away):
    budget_j = 1.5
    mean, times, worst_j = mean_j(
        LyapunovPolicy(LyapunovPolicyConfig(num_clients=8, budget_j=budget_j)), away=away
    )
    # What is over the budget is in the queue, and a queue q is only added to where v > q E / H^2:
    # it is at most v H^2 / E + E. E is at least 1.8 J.
    most_j = 10.0 * budget_j**2 / 1.8 + worst_j
    assert (mean <= budget_j + most_j / ROUNDS).all()
    assert (times > 50).all()
    # The budget binds: without it the same number of clients a round would spend more.
    free, _, _ = mean_j(
        LyapunovPolicy(LyapunovPolicyConfig(num_clients=8, budget_j=1e9)), away=away
    )
    assert free.max() > 1.5 * budget_j


def test_a_larger_weight_selects_more_clients():
    few, many = (
        mean_j(LyapunovPolicy(LyapunovPolicyConfig(num_clients=8, budget_j=1.0, v=v)))[1].sum()
        for v in (1.0, 100.0)
    )
    assert many > few


def test_the_rule_by_hand():
    policy = LyapunovPolicy(LyapunovPolicyConfig(num_clients=2, budget_j=2.0, v=1.0))
    forecast = Foreseen(compute_j=np.array([3.0, 5.0, 4.0]), upload_bytes=0.0)
    # Nobody has spent: all are worth v, and the cheapest are taken.
    assert policy.select(view(3, forecast=forecast), rng=None) == [0, 2]
    # They spent 3 and 4 J of 2: queues 0.5 and 1 (in budgets); worth 1 - 0.5 x 1.5 and 1 - 1 x 2.
    seen = view(3, round_id=2, spent_j=[3.0, 0.0, 4.0], times_selected=[1, 0, 1], forecast=forecast)
    assert policy.select(seen, rng=None) == [1, 0]
    # Queues 0.5 + 1.5 - 1 = 1, 2.5 - 1 = 1.5, 0: worth -0.5, -2.75, 1: one client alone.
    seen = view(3, round_id=3, spent_j=[6.0, 5.0, 4.0], times_selected=[2, 1, 1], forecast=forecast)
    assert policy.select(seen, rng=None) == [2]


def test_with_nobody_worth_it_the_best_one_is_selected():
    policy = LyapunovPolicy(LyapunovPolicyConfig(num_clients=2, budget_j=0.01, v=1.0))
    policy.select(view(2), rng=None)
    assert policy.select(view(2, round_id=2, spent_j=[9.0, 8.0]), rng=None) == [1]
