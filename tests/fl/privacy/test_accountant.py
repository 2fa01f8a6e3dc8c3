"""Epsilon against the values of dp-accounting 0.6.0 and a closed form."""

import math

import numpy as np
import pytest

from fl.privacy.accountant import ORDERS, Accountant, epsilon_of, round_cost


def epsilon(z, num_drawn, num_clients, num_rounds, delta):
    accountant = Accountant(noise_multiplier=z, delta=delta)
    for _ in range(num_rounds):
        accountant.add_round(num_drawn=num_drawn, num_clients=num_clients)
    return accountant.epsilon


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        # RdpAccountant(REPLACE_ONE), SampledWithoutReplacementDpEvent of GaussianDpEvent(z / 2)
        ((1.0, 10, 1000, 100, 1e-5), 11.212675237449496),
        ((2.0, 6, 12, 15, 1e-3), 18.395923918443835),
        ((1.0, 100, 100_000, 1000, 1e-6), 6.279426680057002),
        ((1.0, 100, 1_000_000, 1000, 1e-6), 3.8597738445894234),
    ],
)
def test_values_of_dp_accounting(settings, theirs):
    assert epsilon(*settings) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        # they bound moments by differences too, and look at orders between whole numbers
        ((4.0, 20, 100, 50, 1e-4), 7.136544677319052),
        ((2.0, 12, 12, 10, 1e-3), 15.45866186621382),
    ],
)
def test_never_below_and_near_dp_accounting_where_it_bounds_tighter(settings, theirs):
    assert theirs < epsilon(*settings) < 1.07 * theirs


def test_without_sampling_it_is_the_gaussian_mechanism():
    """Its cost is order / (2 s^2), with s the noise by the sensitivity of a replaced client."""
    assert round_cost(1.0, noise_by_sensitivity=3.0) == pytest.approx(ORDERS / 18)
    spent = 10 * ORDERS / (2 * (4.0 / 2) ** 2)
    by_hand = min(
        s + math.log(1 - 1 / a) - math.log(1e-4 * a) / (a - 1)
        for s, a in zip(spent, ORDERS, strict=True)
    )
    assert epsilon(4.0, 8, 8, 10, 1e-4) == pytest.approx(by_hand, rel=1e-12)


def test_sampling_never_costs_more_than_none():
    for fraction in (0.01, 0.3, 0.99):
        for noise in (0.3, 1.0, 10.0):
            drawn = round_cost(fraction, noise_by_sensitivity=noise)
            assert (drawn <= round_cost(1.0, noise_by_sensitivity=noise)).all()
            assert (drawn > 0).all()


def test_more_rounds_less_noise_and_more_clients_cost_more():
    base = epsilon(2.0, 10, 100, 20, 1e-3)
    assert epsilon(2.0, 10, 100, 40, 1e-3) > base
    assert epsilon(1.0, 10, 100, 20, 1e-3) > base
    assert epsilon(2.0, 20, 100, 20, 1e-3) > base
    assert epsilon(2.0, 10, 100, 20, 1e-2) < base


def test_nothing_spent_is_nothing():
    assert Accountant(noise_multiplier=1.0, delta=1e-5).epsilon == 0.0
    assert epsilon_of(np.zeros(len(ORDERS)), delta=1e-5) == 0.0
