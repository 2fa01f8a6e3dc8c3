"""Power of choice: its two ends are weighted drawing and the highest losses of all."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fl.policies.power_of_choice import (
    PowerOfChoicePolicy,
    PowerOfChoicePolicyConfig,
    find_problems,
)
from tests.fl.policies.views import view


def policy(num_clients, num_candidates, **settings):
    return PowerOfChoicePolicy(
        PowerOfChoicePolicyConfig(
            num_clients=num_clients, num_candidates=num_candidates, **settings
        )
    )


def answered(seen, losses):
    return replace(seen, candidates=replace(seen.candidates, asked_loss=np.array(losses)))


def test_asking_all_takes_the_highest_losses():
    made, loss = policy(3, 6), [0.5, 2.0, math.nan, 9.0, 1.0, 3.0]
    rng = np.random.default_rng(1)
    assert sorted(made.ask(view(6), rng=rng)) == list(range(6))
    assert made.select(answered(view(6), loss), rng=rng) == [3, 5, 1]


def test_only_those_are_selected_that_were_drawn():
    rng = np.random.default_rng(2)
    loss = np.arange(20.0)
    for _ in range(30):
        made = policy(2, 5)
        asked = made.ask(view(20), rng=rng)
        assert len(set(asked)) == 5
        shown = np.where(np.isin(np.arange(20), asked), loss, np.nan)
        assert made.select(answered(view(20), shown), rng=rng) == sorted(asked)[-1:-3:-1]


def test_with_as_many_drawn_as_selected_nobody_is_asked_and_chances_go_by_texts():
    rng, num = np.random.default_rng(3), np.array([1, 2, 3, 4])
    first, times = np.zeros(4), 4000
    for _ in range(times):
        made = policy(1, 1)
        assert made.ask(view(4, num_samples=num), rng=rng) == []
        first[made.select(view(4, num_samples=num), rng=rng)] += 1
    np.testing.assert_allclose(first / times, num / 10, atol=4 * 0.0078)


def test_draws_are_without_replacement_in_proportion_to_what_is_left():
    rng, num = np.random.default_rng(4), np.array([1, 2, 3])
    pairs, times = {}, 6000
    for _ in range(times):
        pair = tuple(policy(2, 2).select(view(3, num_samples=num), rng=rng))
        pairs[pair] = pairs.get(pair, 0) + 1
    # P(first i, then j) = n_i / 6 n_j / (6 - n_i); the order is that of equal losses: as drawn
    for (i, j), count in pairs.items():
        expected = num[i] / 6 * num[j] / (6 - num[i])
        assert count / times == pytest.approx(expected, abs=4 * 0.0065)
    assert len(pairs) == 6


def test_last_losses_cost_nothing_and_unknown_ones_come_first():
    made = policy(2, 4, losses="last")
    seen = view(4, last_loss=[1.0, math.nan, 3.0, 2.0])
    assert made.ask(seen, rng=np.random.default_rng(0)) == []
    assert made.select(seen, rng=None) == [1, 2]


def test_who_left_meanwhile_is_not_selected():
    made, rng = policy(1, 3), np.random.default_rng(0)
    assert sorted(made.ask(view(3), rng=rng)) == [0, 1, 2]
    left = answered(view(client_id=[0, 2]), [5.0, 1.0])
    assert made.select(left, rng=rng) == [0]


def test_fewer_candidates_than_clients_are_refused():
    config = PowerOfChoicePolicyConfig(num_clients=5, num_candidates=3)
    assert [*find_problems(config)] == [("num_candidates", "must be >= num_clients = 5, got 3")]


def test_others_are_drawn_where_all_that_were_asked_have_left():
    made, rng = policy(2, 3), np.random.default_rng(5)
    asked = set(made.ask(view(6), rng=rng))
    here = sorted(set(range(6)) - asked)
    seen = view(client_id=np.array(here))
    chosen = made.select(seen, rng=rng)
    assert len(set(chosen)) == 2
    assert set(chosen) <= set(here)
