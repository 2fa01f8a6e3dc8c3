"""The reference of a busy cell against what is known of the queue M/G/1-PS."""

import numpy as np
import pytest

from tests.netsim.theory.processor_sharing import busy_s, sojourn_s


def test_two_jobs_by_hand():
    # The first is alone for 1 s, both share for 2 s, then the second has 1 s of its 2 s left.
    assert sojourn_s([0.0, 1.0], [2.0, 2.0]).tolist() == [3.0, 3.0]


def test_busy_time_by_hand():
    assert busy_s([0.0, 1.0, 5.0], [2.0, 2.0, 3.0], until_s=6.0) == 5.0


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
