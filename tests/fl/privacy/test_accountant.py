"""Epsilon against the values of dp-accounting 0.6.0 and a closed form."""

import math

import numpy as np
import pytest

from fl.privacy.accountant import ORDERS, Accountant, epsilon_of, poisson_cost, round_cost


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


@pytest.mark.parametrize(
    ("settings", "at_our_orders", "at_theirs"),
    [
        # theirs: added or removed, PoissonSampledDpEvent of GaussianDpEvent(z)
        ((1.0, 0.01, 1000, 1e-5), 2.1077530754515745, 2.101366525420273),
        ((2.0, 0.25, 15, 1e-3), 1.8621491161806836, 1.8554266992117827),
        ((0.8, 0.05, 200, 1e-4), 7.602672155342688, 7.510010882077159),
        ((1.0, 0.256, 100, 1e-4), 18.494845362909086, 18.494845362909086),
    ],
)
def test_poisson_sampling_has_the_values_of_dp_accounting(settings, at_our_orders, at_theirs):
    z, probability, num_rounds, delta = settings
    accountant = Accountant(noise_multiplier=z, delta=delta)
    for _ in range(3):
        accountant.add_poisson(probability, num_rounds=num_rounds // 5)
    accountant.add_poisson(probability, num_rounds=num_rounds - 3 * (num_rounds // 5))
    assert accountant.epsilon == pytest.approx(at_our_orders, rel=1e-9)
    assert at_theirs * (1 - 1e-12) < accountant.epsilon < 1.013 * at_theirs


def test_poisson_sampling_of_all_is_the_gaussian_mechanism_of_one_added_or_removed():
    assert poisson_cost(1.0, noise_multiplier=3.0) == pytest.approx(ORDERS / 18)
    nearly = poisson_cost(1 - 1e-12, noise_multiplier=3.0)
    assert nearly == pytest.approx(ORDERS / 18, rel=1e-6)


def test_poisson_sampling_of_order_two_has_a_closed_form():
    """``log(1 + q^2 (exp(1 / z^2) - 1))``."""
    found = poisson_cost(0.3, noise_multiplier=0.7)[0]
    assert found == pytest.approx(math.log1p(0.09 * math.expm1(1 / 0.49)), rel=1e-12)
