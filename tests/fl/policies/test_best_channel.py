"""Selection by the state of the channel."""

import math

from fl.policies.best_channel import BestChannelPolicy, BestChannelPolicyConfig
from tests.fl.policies.views import view


def test_the_highest_ratios_win_and_ties_go_to_smaller_ids():
    policy = BestChannelPolicy(BestChannelPolicyConfig(num_clients=3))
    snr_db = [3.0, -math.inf, 9.0, 3.0, -1.0]
    assert policy.select(view(5, snr_db=snr_db), rng=None) == [2, 0, 3]
