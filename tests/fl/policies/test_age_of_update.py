"""Age of update: nobody waits longer than it takes to serve all, unless the channel says so."""

import math

import numpy as np
import pytest

from fl.policies.age_of_update import AgeOfUpdatePolicy, AgeOfUpdatePolicyConfig, worth_of_age
from tests.fl.policies.views import view


def chosen(seen, *, num_clients=2, **settings):
    return AgeOfUpdatePolicy(AgeOfUpdatePolicyConfig(num_clients=num_clients, **settings)).select(
        seen, rng=None
    )


@pytest.mark.parametrize(("num", "count"), [(10, 3), (12, 4), (7, 7), (5, 1)])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_with_equal_rates_no_age_exceeds_what_it_takes_to_serve_all(num, count, alpha):
    last, oldest = np.zeros(num, dtype=int), 0
    for round_id in range(1, 60):
        found = chosen(
            view(num, round_id=round_id, last_received=last), num_clients=count, alpha=alpha
        )
        last[found] = round_id
        oldest = max(oldest, int((round_id - last).max()))
    # after a round those that were served have age 0: one of ceil(K / k) rounds is their own
    assert oldest == math.ceil(num / count) - 1


def test_age_is_weighed_against_airtime():
    # ages 0, 3, 1 count 1, 4, 2; uploads of 1, 8, 1 s
    seen = view(3, round_id=4, last_received=[3, 0, 2], uplink_rate_bps=[1e6, 1e6 / 8, 1e6])
    assert chosen(seen) == [2, 0]
    # a client that sends five times as fast is worth it at once
    seen = view(3, round_id=4, last_received=[3, 0, 2], uplink_rate_bps=[5e6, 1e6, 1e6])
    assert chosen(seen) == [0, 1]


def test_the_worth_of_an_age_has_its_closed_forms():
    age = np.array([0, 1, 3, 8])
    np.testing.assert_allclose(worth_of_age(age, alpha=0.0), [1, 2, 4, 9])
    np.testing.assert_allclose(worth_of_age(age, alpha=0.5), 2 * np.sqrt([1, 2, 4, 9]))
    np.testing.assert_allclose(worth_of_age(age, alpha=1.0), np.log([1, 2, 4, 9]))


def test_an_update_that_was_lost_leaves_the_age():
    seen = view(2, round_id=3, last_round=[2, 1], last_received=[0, 1])
    assert chosen(seen, num_clients=1) == [0]
