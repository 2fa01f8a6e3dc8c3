"""Reverse selection of experts: the exact optimum, and the sums it must keep."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl.methods.fedamole.rsea import assign, preferences


def best_by_hand(wishes, *, clients_per_expert, min_experts, max_experts):
    """The largest sum over all assignments there are; ``None`` if there is none."""
    num_experts, num_clients = wishes.shape
    rows = [
        np.isin(np.arange(num_clients), chosen)
        for chosen in combinations(range(num_clients), clients_per_expert)
    ]
    best = None
    for chosen in product(rows, repeat=num_experts):
        made = np.array(chosen)
        held = made.sum(axis=0)
        if min_experts <= held.min() and held.max() <= max_experts:
            value = wishes[made].sum()
            best = value if best is None else max(best, value)
    return best


@st.composite
def cases(draw, *, max_experts=5, max_clients=4):
    num_clients = draw(st.integers(2, max_clients))
    num_experts = draw(st.integers(1, max_experts))
    c = draw(st.integers(1, num_clients))
    mean = num_experts * c / num_clients
    low = draw(st.integers(0, int(mean)))
    high = draw(st.integers(int(np.ceil(mean)), num_experts))
    wishes = np.random.default_rng(draw(st.integers(0, 2**32))).random((num_experts, num_clients))
    if draw(st.booleans()):
        wishes = wishes.round(1)  # ties
    limits = {"clients_per_expert": c, "min_experts": low, "max_experts": high}
    return wishes, limits


@given(case=cases())
def test_it_is_the_best_of_all_assignments(case):
    wishes, limits = case
    made = assign(wishes, **limits)
    assert wishes[made].sum() == pytest.approx(best_by_hand(wishes, **limits), abs=1e-9)


@given(case=cases(max_experts=40, max_clients=24))
def test_sums_are_kept(case):
    wishes, limits = case
    made = assign(wishes, **limits)
    assert made.dtype == bool
    assert np.all(made.sum(axis=1) == limits["clients_per_expert"])
    held = made.sum(axis=0)
    assert limits["min_experts"] <= held.min()
    assert held.max() <= limits["max_experts"]
    assert np.array_equal(assign(wishes, **limits), made)


def test_close_wishes_are_told_apart():
    wishes = 0.5 + 1e-12 * np.random.default_rng(0).random((4, 3))
    limits = {"clients_per_expert": 1, "min_experts": 1, "max_experts": 2}
    gained = wishes[assign(wishes, **limits)].sum() - 2.0
    assert gained == pytest.approx(best_by_hand(wishes, **limits) - 2.0, abs=2e-15)


def test_experts_go_where_they_are_wanted_most():
    wishes = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.7, 0.0, 0.3]])
    made = assign(wishes, clients_per_expert=1, min_experts=1, max_experts=3)
    assert np.array_equal(made, np.eye(3, dtype=bool))
    free = assign(wishes, clients_per_expert=1, min_experts=0, max_experts=3)
    assert np.array_equal(free.sum(axis=0), [3, 0, 0])


def test_preferences_are_a_softmax_over_clients():
    rng = np.random.default_rng(1)
    experts, clients = rng.normal(size=(5, 8)), rng.normal(size=(3, 8))
    wanted = np.empty((5, 3))
    for e in range(5):
        scores = [np.exp(np.dot(experts[e], clients[j]) / np.sqrt(8)) for j in range(3)]
        wanted[e] = np.array(scores) / sum(scores)
    np.testing.assert_allclose(preferences(experts, clients), wanted, rtol=1e-12)


@pytest.mark.parametrize(("c", "low", "high"), [(4, 0, 9), (1, 2, 9), (2, 0, 1), (1, 2, 1)])
def test_the_impossible_is_refused(c, low, high):
    message = r"^clients_per_expert: 4 experts that pick . clients each must leave .* 3 clients$"
    with pytest.raises(ValueError, match=message):
        assign(np.ones((4, 3)), clients_per_expert=c, min_experts=low, max_experts=high)
