"""Throttling against a small-step reference, and against sums by hand."""

import pytest

from fl.clients.throttling import CoolTime, Phase, TwoStateThrottling

CONFIG = TwoStateThrottling(cool_factor=2.5, cool_s=120.0, rest_s=300.0)


def by_steps(jobs, *, step_s=1e-3):
    """Durations of jobs (start, seconds warm) of one device, followed step by step."""
    cool_s, now_s, found = CONFIG.cool_s, 0.0, []
    for start_s, warm_s in jobs:
        while now_s < start_s:
            now_s += step_s
            cool_s = min(CONFIG.cool_s, cool_s + step_s * CONFIG.cool_s / CONFIG.rest_s)
        done_s = 0.0
        while done_s < warm_s:
            is_cool = cool_s > 0
            done_s += step_s * (CONFIG.cool_factor if is_cool else 1.0)
            cool_s -= step_s if is_cool else 0.0
            now_s += step_s
        found.append(now_s - start_s)
    return found


def test_jobs_and_rests_take_what_small_steps_take():
    jobs = [(0.0, 100.0), (50.0, 400.0), (350.0, 30.0), (380.0, 80.0), (900.0, 310.0)]
    cool, found = CoolTime(CONFIG, num_clients=2), []
    for start_s, warm_s in jobs:
        phases = cool.phases(1, warm_s, at_s=start_s)
        assert sum(each.duration_s * each.factor for each in phases) == pytest.approx(warm_s)
        found.append(sum(each.duration_s for each in phases))
        cool.end(1, started_at_s=start_s, finished_at_s=start_s + found[-1])
    assert found == pytest.approx(by_steps(jobs), abs=0.01)
    assert cool.left_s(0, at_s=1.0) == CONFIG.cool_s  # nobody else's heat


def test_a_long_job_is_fast_for_its_first_part():
    """300 s of cool work in 120 s, and 200 s warm."""
    found = CoolTime(CONFIG, num_clients=1).phases(0, 500.0, at_s=0.0)
    assert found == [Phase(120.0, 2.5), Phase(200.0, 1.0)]
    assert CoolTime(CONFIG, num_clients=1).phases(0, 250.0, at_s=7.0) == [Phase(100.0, 2.5)]


def test_a_job_that_was_stopped_leaves_what_it_did_not_use():
    cool = CoolTime(CONFIG, num_clients=1)
    cool.end(0, started_at_s=0.0, finished_at_s=30.0)
    assert cool.left_s(0, at_s=30.0) == pytest.approx(90.0)
    assert cool.left_s(0, at_s=30.0 + 75.0) == pytest.approx(120.0)
    cool.end(0, started_at_s=105.0, finished_at_s=1105.0)
    assert cool.left_s(0, at_s=1105.0) == 0.0
    assert cool.phases(0, 10.0, at_s=1105.0) == [Phase(10.0, 1.0)]
