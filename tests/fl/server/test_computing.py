"""Seconds and joules of computing, whole and cut short."""

from types import SimpleNamespace

import pytest

from fl.clients.throttling import CoolTime, TwoStateThrottling
from fl.clients.work import Work
from fl.server.computing import begin_computing, end_computing

THROTTLING = TwoStateThrottling(cool_factor=2.0, cool_s=10.0, rest_s=100.0)
WORK = Work(flop=40_000_000_000)


class Booked:
    """Keeps what is charged."""

    def __init__(self):
        self.entries = []

    def charge(self, client_id, activity, *, started_at_s, finished_at_s, power_w):
        self.entries.append((client_id, activity, started_at_s, finished_at_s, power_w))


def federation_at(now_s, *, throttling=None):
    """One device of 1 GFLOP/s that draws 3 W: 40 s of computing."""
    cool = None if throttling is None else CoolTime(throttling, num_clients=1)
    device = SimpleNamespace(compute_s=lambda work: work.flop / 1e9, compute_w=3.0)
    return SimpleNamespace(
        now_s=now_s,
        devices=[device],
        cool_time=cool,
        network=SimpleNamespace(energy=Booked()),
    )


def test_a_warm_device_computes_at_one_power():
    made = federation_at(5.0)
    computing = begin_computing(made, 0, work=WORK)
    assert (computing.started_at_s, computing.duration_s, computing.whole_j) == (5.0, 40.0, 120.0)
    assert [computing.spent_j(at_s) for at_s in (5.0, 15.0, 45.0, 99.0)] == [
        0.0,
        30.0,
        120.0,
        120.0,
    ]
    assert made.network.energy.entries == []
    made.now_s = 45.0
    assert end_computing(made, computing) == 120.0
    assert made.network.energy.entries == [(0, "compute", 5.0, 45.0, 3.0)]


def test_a_cool_device_is_twice_as_fast_at_twice_the_power_until_it_is_warm():
    made = federation_at(0.0, throttling=THROTTLING)
    computing = begin_computing(made, 0, work=WORK)
    # 10 s cool do the work of 20 warm ones; 20 s warm are left.
    assert computing.duration_s == 30.0
    assert computing.whole_j == 120.0
    assert [computing.spent_j(at_s) for at_s in (5.0, 10.0, 20.0)] == [30.0, 60.0, 90.0]
    made.now_s = 30.0
    assert end_computing(made, computing) == 120.0
    assert made.network.energy.entries == [
        (0, "compute", 0.0, 10.0, 6.0),
        (0, "compute", 10.0, 30.0, 3.0),
    ]
    assert begin_computing(made, 0, work=WORK).duration_s == 40.0  # warm now


@pytest.mark.parametrize(("now_s", "spent_j"), [(0.0, 0.0), (4.0, 24.0), (12.0, 66.0)])
def test_what_was_done_when_it_is_cut_short_is_booked(now_s, spent_j):
    made = federation_at(0.0, throttling=THROTTLING)
    computing = begin_computing(made, 0, work=WORK)
    made.now_s = now_s
    assert end_computing(made, computing) == computing.spent_j(now_s) == spent_j
    booked_j = sum(w * (to_s - from_s) for _, _, from_s, to_s, w in made.network.energy.entries)
    assert booked_j == spent_j
    # 4 s cool leave 6 s of it, 12 s of work; 28 s are warm.
    left_s = THROTTLING.cool_s - min(now_s, THROTTLING.cool_s)
    assert begin_computing(made, 0, work=WORK).duration_s == 40.0 - left_s
