"""What a job computes, and the seconds of decode steps by the roofline."""

import pytest

from fl.clients.work import DecodeSteps, Work

STEPS = DecodeSteps(
    num_steps=4, flop=100, flop_growth=10, frozen_bytes=400, trained_bytes=30, cache_bytes=40,
    cache_growth_bytes=8,
)  # fmt: skip


def test_works_add_up():
    both = Work(flop=3) + Work(flop=4, decode=(STEPS,)) + Work(decode=(STEPS,))
    assert both == Work(flop=7, decode=(STEPS, STEPS))
    # 4 x 100 + 10 x (0 + 1 + 2 + 3)
    assert STEPS.total_flop == 460
    assert both.total_flop == 7 + 2 * 460


def test_frozen_weights_and_cache_shrink_with_the_precision_of_the_device():
    assert [STEPS.step_bytes(step) for step in (0, 3)] == [470, 494]
    assert STEPS.step_bytes(3, "fp16") == 200 + 30 + 32
    assert STEPS.step_bytes(3, "int8") == 100 + 30 + 32
    assert STEPS.total_bytes() == 4 * 470 + 8 * 6


@pytest.mark.parametrize(
    ("flop_per_s", "bytes_per_s", "seconds"),
    [
        (1e9, 1.0, 4 * 470 + 8 * 6),  # bound by memory
        (1.0, 1e9, 460),  # bound by arithmetic
        # arithmetic 100, 110, 120, 130; traffic 117.5, 119.5, 121.5, 123.5
        (1.0, 4.0, 117.5 + 119.5 + 121.5 + 130),
    ],
)
def test_of_each_step_the_longer_of_arithmetic_and_traffic_counts(flop_per_s, bytes_per_s, seconds):
    found = STEPS.seconds(flop_per_s=flop_per_s, bytes_per_s=bytes_per_s)
    assert found == pytest.approx(seconds, rel=1e-12)


def test_no_steps_take_no_time():
    none = DecodeSteps(num_steps=0, flop=1, frozen_bytes=1)
    assert (none.total_flop, none.seconds(flop_per_s=1.0, bytes_per_s=1.0)) == (0, 0.0)
