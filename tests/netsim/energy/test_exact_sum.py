"""A sum that does not round, against rational numbers."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from netsim.energy.exact_sum import ExactSum

numbers = st.lists(
    st.floats(-1e12, 1e12, allow_subnormal=False) | st.sampled_from([1e-9, 0.1, 1e15, -1e15])
)


@given(values=numbers, more=numbers)
def test_sum_is_the_exact_one_rounded_once(values, more):
    running = ExactSum()
    for value in values:
        running.add(value)
    assert running.value() == float(sum(map(Fraction, values)))
    assert running.value(*more) == float(sum(map(Fraction, [*values, *more])))


def test_what_is_taken_out_leaves_no_trace():
    running = ExactSum()
    for value in (1e16, 1.0, 0.1, -1e16, -1.0):
        running.add(value)
    assert running.value() == 0.1
    running.add(-0.1)
    assert running.value() == 0.0


def test_numbers_that_rounding_would_lose_are_kept():
    running = ExactSum()
    running.add(2.0**53)
    for _ in range(4):
        running.add(1.0)
    assert running.value() == 2.0**53 + 4
