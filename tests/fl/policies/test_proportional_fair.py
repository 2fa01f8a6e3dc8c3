"""Proportional fairness over rounds: equal shares however far clients are."""

import math

import numpy as np

from fl.policies.proportional_fair import ProportionalFairPolicy, ProportionalFairPolicyConfig
from tests.fl.policies.views import view


def test_the_best_channel_over_its_own_average_wins():
    policy = ProportionalFairPolicy(ProportionalFairPolicyConfig(num_clients=2))
    # gains over the mean: 3, 1, none, -1, 2 dB
    seen = view(5, mean_snr_db=[20, 0, -math.inf, 9, -5], snr_db=[23, 1, -math.inf, 8, -3])
    assert policy.select(seen, rng=None) == [0, 4]


def test_the_average_moves_by_one_part_of_the_window():
    policy = ProportionalFairPolicy(ProportionalFairPolicyConfig(num_clients=1, window_rounds=4.0))
    db = lambda ratio: (10 * np.log10(np.array(ratio))).tolist()  # noqa: E731
    assert policy.select(view(2, mean_snr_db=0.0, snr_db=db([3.0, 2.9])), rng=None) == [0]
    # averages are now 1.5 and 1.475: 2.0 / 1.5 = 1.333 against 1.97 / 1.475 = 1.336
    assert policy.select(view(2, mean_snr_db=0.0, snr_db=db([2.0, 1.97])), rng=None) == [1]


def test_clients_with_channels_of_one_kind_have_equal_shares_far_or_near():
    rng = np.random.default_rng(5)
    policy = ProportionalFairPolicy(ProportionalFairPolicyConfig(num_clients=3))
    mean_db = np.linspace(30.0, -10.0, 10)
    times, num_rounds = np.zeros(10), 4000
    for _ in range(num_rounds):
        snr_db = mean_db + 10 * np.log10(rng.exponential(size=10))
        times[policy.select(view(10, mean_snr_db=mean_db, snr_db=snr_db), rng=None)] += 1
    # 3 of 10 each: the standard deviation of a share is at most sqrt(0.3 * 0.7 / 4000) = 0.0072
    np.testing.assert_allclose(times / num_rounds, 0.3, atol=4 * 0.0072)
