"""Equal finish: closed forms, and the greedy selection against trying every client."""

import numpy as np
import pytest

from fl.policies.equal_finish import (
    EqualFinishPolicy,
    EqualFinishPolicyConfig,
    equal_finish_s,
)
from tests.fl.policies.views import Foreseen, view

MB = 125_000  # bytes that take 1 s at 1 Mbit/s


def chosen(seen, count):
    return EqualFinishPolicy(EqualFinishPolicyConfig(num_clients=count)).select(seen, rng=None)


def test_clients_that_are_ready_together_end_at_the_sum_of_their_uploads():
    # spectral efficiencies 4, 2, 1; 80 Mbit each; ready at 3 s; 20 MHz: T = 10 s
    upload_s = 80e6 / (20e6 * np.array([4.0, 2.0, 1.0]))
    assert equal_finish_s(np.full(3, 3.0), upload_s) == pytest.approx(10.0, rel=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_two_clients_end_at_the_root_of_a_quadratic(seed):
    rng = np.random.default_rng(seed)
    (a, b), (u, v) = rng.uniform(0, 9, size=(2, 2))
    # u / (T - a) + v / (T - b) = 1
    total = a + b + u + v
    end_s = (total + np.sqrt(total**2 - 4 * (a * b + u * b + v * a))) / 2
    assert equal_finish_s(np.array([a, b]), np.array([u, v])) == pytest.approx(end_s, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_shares_of_the_band_add_up_to_it(seed):
    rng = np.random.default_rng(seed)
    ready_s, upload_s = rng.uniform(0, 30, size=12), rng.uniform(0.01, 5, size=12)
    end_s = equal_finish_s(ready_s, upload_s)
    assert (upload_s / (end_s - ready_s)).sum() == pytest.approx(1.0, rel=1e-9)


def test_one_client_ends_when_it_has_sent_and_nothing_to_send_takes_no_band():
    assert equal_finish_s(np.array([3.0]), np.array([2.0])) == 5.0
    assert equal_finish_s(np.array([3.0, 7.0]), np.array([2.0, 0.0])) == 7.0


def greedy(ready_s, upload_s, cell_id, count):
    """Try every client at every step."""
    taken = []
    while len(taken) < count:

        def end_s(row):
            rows = [each for each in [*taken, row] if cell_id[each] == cell_id[row]]
            return float(equal_finish_s(ready_s[rows], upload_s[rows]))

        taken.append(min((r for r in range(len(ready_s)) if r not in taken), key=end_s))
    return taken


@pytest.mark.parametrize("seed", range(6))
def test_each_step_takes_the_client_with_the_earliest_end(seed):
    rng = np.random.default_rng(seed)
    ready_s, upload_s = rng.uniform(0, 20, size=25), rng.uniform(0.1, 4, size=25)
    cell_id = rng.integers(3, size=25)
    forecast = Foreseen(compute_s=ready_s, upload_bytes=upload_s * MB)
    seen = view(25, cell_id=cell_id, forecast=forecast)
    assert chosen(seen, 9) == greedy(ready_s, upload_s, cell_id, 9)


def test_of_equal_clients_those_are_taken_that_took_part_least():
    assert sorted(chosen(view(4, times_selected=[2, 0, 1, 0]), 3)) == [1, 2, 3]
