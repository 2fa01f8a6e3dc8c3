"""Gaps kept while intervals are booked, against those found in all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.energy.busy_time import BusyTime, gaps_s

instants = st.floats(0, 100, allow_subnormal=False)
intervals = st.lists(st.tuples(st.integers(0, 3), instants, instants), max_size=40)


def columns(booked):
    owner, start, end = zip(*booked, strict=True) if booked else ((), (), ())
    return np.array(owner, dtype=np.int64), np.array(start, float), np.array(end, float)


@settings(max_examples=300, deadline=None)
@given(booked=intervals, is_ordered=st.booleans(), every=st.integers(1, 5), more_s=st.floats(0, 50))
def test_kept_gaps_are_the_found_ones_to_the_bit(booked, is_ordered, every, more_s):
    booked = [(owner, min(one, other), max(one, other)) for owner, one, other in booked]
    if is_ordered:
        booked.sort(key=lambda item: item[1])
    busy = BusyTime()
    for count, (owner, start_s, end_s) in enumerate(booked, start=1):
        busy.add(owner, start_s, end_s)
        if count % every == 0:
            until_s = busy.latest_s + more_s
            owners, expected_s = gaps_s(*columns(booked[:count]), until_s)
            for each in busy.owners():
                np.testing.assert_array_equal(
                    busy.gaps_s(each, until_s), expected_s[owners == each]
                )
    assert busy.latest_s == max([0.0, *(end_s for _, _, end_s in booked)])


def test_an_interval_that_ends_a_gap_tells_its_length():
    busy = BusyTime()
    assert busy.add(7, 1.0, 3.0) == 0
    assert busy.add(7, 2.0, 4.0) == 0  # overlaps
    assert busy.add(7, 4.0, 5.0) == 0  # touches
    assert busy.add(7, 6.5, 7.0) == 1.5
    assert busy.add(7, 6.5, 6.75) == 0  # begins with the last one
    assert busy.add(8, 0.0, 1.0) == 0  # of another owner
    assert busy.add(7, 5.25, 5.5) is None  # late
    assert busy.closed_gaps_s(7).tolist() == pytest.approx([0.25, 1.0])
    assert busy.owners() == [7, 8]
    assert busy.open_gaps_s([7, 9, 8], 10.0).tolist() == [3.0, 0.0, 9.0]


def test_gaps_of_overlapping_and_disordered_intervals():
    owner, gap_s = gaps_s(
        np.array([2, 1, 2, 2]),
        np.array([5.0, 1.0, 0.0, 1.0]),
        np.array([6.0, 2.0, 4.0, 2.0]),
        10.0,
    )
    np.testing.assert_array_equal(owner, [1, 2, 2])
    np.testing.assert_allclose(gap_s, [8, 1, 4])
