"""The reference of a busy cell against what is known of the queue M/G/1-PS."""

import numpy as np
import pytest

from tests.netsim.theory.processor_sharing import busy_s, left_s, sojourn_s


def test_two_jobs_by_hand():
    # The first is alone for 1 s, both share for 2 s, then the second has 1 s of its 2 s left.
    assert sojourn_s([0.0, 1.0], [2.0, 2.0]).tolist() == [3.0, 3.0]


def test_busy_time_by_hand():
    assert busy_s([0.0, 1.0, 5.0], [2.0, 2.0, 3.0], until_s=6.0) == 5.0


def test_work_that_is_left_by_hand():
    # At 2 s the first has had 1 s alone and half a second beside the other.
    assert left_s([0.0, 1.0, 9.0], [2.0, 2.0, 2.0], at_s=2.0).tolist() == [0.5, 1.5, 0.0]


def test_jobs_at_an_instant_are_geometric_and_served_by_half():
    """In the steady state, for works of one size: what is left is uniform up to it."""
    rng = np.random.default_rng(6)
    load, num = 0.5, 4000
    counts, left = np.empty(num), []
    for k in range(num):
        arrival_s = rng.exponential(1.0 / load, 60).cumsum()  # until far after 40 s
        found_s = left_s(arrival_s, np.ones(60), at_s=40.0)
        counts[k] = (found_s > 0).sum()
        left += found_s[found_s > 0].tolist()
    # P(at least n) is load^n; 3 standard errors.
    for n in (1, 2, 3):
        share = load**n
        error = np.sqrt(share * (1 - share) / num)
        assert (counts >= n).mean() == pytest.approx(share, abs=3 * error)
    assert np.mean(left) == pytest.approx(1 / 2, abs=3 / np.sqrt(12 * len(left)))
    assert np.mean(np.square(left)) == pytest.approx(1 / 3, abs=3 * 0.3 / np.sqrt(len(left)))


@pytest.mark.parametrize("load", [0.5, 0.9])
@pytest.mark.parametrize("sizes", ["fixed", "exponential"])
def test_a_job_stays_its_work_over_the_idle_share(load, sizes, ladder):
    """x / (1 - load) for a job of work x, whatever the sizes of the others."""
    rng = np.random.default_rng(5)
    num, probe_s = 400_000, 0.5
    arrival_s = rng.exponential(1.0 / load, num).cumsum()
    work_s = np.ones(num) if sizes == "fixed" else rng.exponential(1.0, num)
    # Probes so rare that they do not load the system themselves.
    is_probe = np.arange(num) % 50 == 0
    work_s[is_probe] = probe_s
    real_load = work_s.mean() * load
    stay_s = sojourn_s(arrival_s, work_s)[is_probe]
    batches = stay_s[: len(stay_s) // 20 * 20].reshape(20, -1).mean(axis=1)
    error_s = batches.std(ddof=1) / np.sqrt(20)
    assert error_s < 0.06 * probe_s / (1.0 - real_load)
    ladder.near(
        28,
        f"time in a shared processor over that alone, load {load:g}",
        source="1 / (1 - load), M/G/1-PS; 3 standard errors",
        measured=stay_s.mean() / probe_s,
        expected=1.0 / (1.0 - real_load),
        tolerance=3.0 * error_s / probe_s,
    )
