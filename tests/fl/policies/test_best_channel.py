"""Selection by the state of the channel."""

import math

import numpy as np

from fl.policies.best_channel import BestChannelPolicy, BestChannelPolicyConfig
from tests.fl.policies.views import view


def test_the_highest_ratios_win_and_ties_go_to_smaller_ids():
    policy = BestChannelPolicy(BestChannelPolicyConfig(num_clients=3))
    snr_db = [3.0, -math.inf, 9.0, 3.0, -1.0]
    assert policy.select(view(5, snr_db=snr_db), rng=None) == [2, 0, 3]


def test_of_clients_on_a_line_the_nearest_are_selected():
    distance_m = np.array([900.0, 50.0, 400.0, 120.0, 2000.0])
    snr_db = 60.0 - 37.6 * np.log10(distance_m / 10.0)
    policy = BestChannelPolicy(BestChannelPolicyConfig(num_clients=3))
    assert policy.select(view(5, snr_db=snr_db), rng=None) == [1, 3, 2]
