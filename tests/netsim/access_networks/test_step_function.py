import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.access_networks.step_function import StepFunction, constant

RATE = StepFunction([0.0, 2.0, 5.0], [10.0, 0.0, 4.0])
PERIODIC = StepFunction([0.0, 2.0, 5.0], [10.0, 0.0, 4.0], period_s=6.0)


@pytest.mark.parametrize(
    ("at_s", "value"), [(0, 10), (1.9, 10), (2.0, 0), (4.9, 0), (5.0, 4), (100.0, 4)]
)
def test_value_holds_from_its_instant_on(at_s, value):
    assert RATE.value(at_s) == value


@pytest.mark.parametrize(
    ("start_s", "end_s", "integral"),
    [(0, 1, 10), (0, 2, 20), (1, 3, 10), (2, 5, 0), (1, 6, 14), (3, 3, 0), (5, 10, 20)],
)
def test_integral(start_s, end_s, integral):
    assert RATE.integral(start_s, end_s) == integral


@pytest.mark.parametrize(
    ("start_s", "amount", "at_s"),
    [(0, 5, 0.5), (0, 20, 2.0), (0, 21, 5.25), (2, 4, 6.0), (3, 0, 3), (5.5, 4, 6.5)],
)
def test_when_reached_is_the_earliest_instant(start_s, amount, at_s):
    """20 bits are there when the rate falls to 0, not when the stretch of rate 0 ends."""
    assert RATE.when_reached(start_s, amount) == at_s


def test_a_period_begins_again():
    assert PERIODIC.value(6.0) == 10
    assert PERIODIC.value(12.5) == 10
    assert PERIODIC.integral(0, 12) == 2 * 24
    assert PERIODIC.integral(5, 7) == 4 + 10
    assert PERIODIC.when_reached(0, 24) == 6.0
    assert PERIODIC.when_reached(0, 25) == 6.1
    assert PERIODIC.when_reached(5.0, 4 + 20 + 1) == 6 + 5.25


def test_an_offset_shifts_the_start():
    shifted = StepFunction([0.0, 2.0, 5.0], [10.0, 0.0, 4.0], period_s=6.0, offset_s=5.0)
    assert shifted.value(0.0) == 4
    assert shifted.value(1.0) == 10
    assert shifted.integral(0, 2) == 14
    assert shifted.when_reached(0.0, 14) == 2.0


def test_what_never_comes_is_at_infinity():
    assert constant(0.0).when_reached(3.0, 1.0) == np.inf
    assert StepFunction([0.0, 1.0], [5.0, 0.0]).when_reached(0.0, 5.1) == np.inf
    assert StepFunction([0.0, 1.0], [0.0, 0.0], period_s=2.0).when_reached(0.0, 1e-9) == np.inf


@given(
    values=st.lists(st.floats(0, 1e9), min_size=1, max_size=6),
    lengths_s=st.lists(st.floats(0.01, 100), min_size=6, max_size=6),
    start_s=st.floats(0, 1000),
    wait_s=st.floats(0, 1000),
    repeats=st.booleans(),
)
def test_when_reached_inverts_the_integral(values, lengths_s, start_s, wait_s, repeats):
    ends_s = np.cumsum(lengths_s[: len(values)]).tolist()
    rate = StepFunction(
        [0.0, *ends_s[:-1]], values, period_s=ends_s[-1] if repeats else None
    )  # fmt: skip
    amount = rate.integral(start_s, start_s + wait_s)
    reached_s = rate.when_reached(start_s, amount)
    scale = 1e-9 * (1 + max(values)) * 2000
    if reached_s < np.inf:  # rounding may ask for a bit more than there ever is
        assert rate.integral(start_s, reached_s) == pytest.approx(amount, abs=scale)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"starts_s": [0.0, 0.0], "values": [1.0, 2.0]}, "ascend"),
        ({"starts_s": [1.0], "values": [1.0]}, "from 0"),
        ({"starts_s": [0.0], "values": [1.0, 2.0]}, "one for each"),
        ({"starts_s": [0.0], "values": [-1.0]}, "values"),
        ({"starts_s": [0.0, 3.0], "values": [1.0, 2.0], "period_s": 3.0}, "period_s"),
        ({"starts_s": [0.0], "values": [1.0], "period_s": 3.0, "offset_s": 3.0}, "offset_s"),
    ],
)
def test_numbers_that_are_no_function_are_refused(arguments, fault):
    with pytest.raises(ValueError, match=fault):
        StepFunction(**arguments)
