"""The knapsack against trying every set."""

import itertools

import numpy as np
import pytest

from fl.policies.knapsack import KnapsackPolicy, KnapsackPolicyConfig, fill_knapsack, find_problems
from fl.policies.view import NobodyFitsError
from tests.fl.policies.views import Foreseen, view


def best_value(value, cost, budget):
    sets = itertools.product([0, 1], repeat=len(value))
    return max(np.dot(each, value) for each in sets if np.dot(each, cost) <= budget)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_best_of_all_sets(seed):
    rng = np.random.default_rng(seed)
    num = int(rng.integers(1, 13))
    value = rng.integers(1, 60, size=num)
    cost = rng.uniform(0.1, 9.0, size=num)
    if seed % 3 == 0:  # nearly equal densities: the hard case
        cost = value * rng.uniform(0.99, 1.01, size=num)
    budget = float(rng.uniform(0.1, 0.9)) * cost.sum()
    chosen = fill_knapsack(value, cost, budget=budget)
    assert len(set(chosen.tolist())) == len(chosen)
    assert cost[chosen].sum() <= budget * (1 + 1e-12)
    assert value[chosen].sum() == best_value(value, cost, budget)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_as_good_as_dynamic_programming_on_many_items(seed):
    rng = np.random.default_rng(seed)
    value, cost = rng.integers(1, 99, size=300), rng.integers(1, 50, size=300)
    budget = 400
    table = np.zeros(budget + 1)
    for v, c in zip(value, cost, strict=True):
        table[c:] = np.maximum(table[c:], table[: budget + 1 - c] + v)
    chosen = fill_knapsack(value, cost.astype(float), budget=float(budget))
    assert cost[chosen].sum() <= budget
    assert value[chosen].sum() == table[budget]


def test_all_fit_into_a_large_budget_but_those_that_never_do():
    value, cost = np.array([1, 2, 3]), np.array([1.0, np.inf, 0.0])
    assert sorted(fill_knapsack(value, cost, budget=10.0).tolist()) == [0, 2]
    assert sorted(fill_knapsack(value, cost, budget=0.5).tolist()) == [2]


def test_budgets_are_of_joules_or_of_airtime():
    forecast = Foreseen(compute_j=np.array([5.0, 1.0, 1.0]), upload_bytes=np.array([1, 1, 4]) * 1e5)
    seen = view(3, num_samples=[10, 10, 10], forecast=forecast)  # uploads of 0.8, 0.8, 3.2 s at 1 W
    by_j = KnapsackPolicy(KnapsackPolicyConfig(budget_j=6.0)).select(seen, rng=None)
    by_s = KnapsackPolicy(KnapsackPolicyConfig(budget_s=2.0)).select(seen, rng=None)
    assert (sorted(by_j), sorted(by_s)) == ([1, 2], [0, 1])


def test_a_budget_for_nobody_is_told():
    policy = KnapsackPolicy(KnapsackPolicyConfig(budget_s=0.5))
    with pytest.raises(
        NobodyFitsError, match=r"^budget_s: no client fits into 0\.5 s, .* needs 1$"
    ):
        policy.select(view(3), rng=None)


def test_exactly_one_budget_is_given():
    for settings, found in (({}, "neither"), ({"budget_j": 1.0, "budget_s": 1.0}, "both")):
        ((key, rule),) = find_problems(KnapsackPolicyConfig(**settings))
        assert (key, rule) == (
            "budget_j",
            f"give exactly one of budget_j and budget_s, got {found}",
        )
    assert [*find_problems(KnapsackPolicyConfig(budget_j=1.0))] == []
