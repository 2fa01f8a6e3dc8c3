"""Gaps kept while intervals are booked, against those found in all of them."""

from collections import Counter

import numpy as np
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
    busy, kept = BusyTime(), Counter()
    for count, (owner, start_s, end_s) in enumerate(booked, start=1):
        change = busy.add(owner, start_s, end_s)
        kept.subtract((owner, gap_s) for gap_s in change.closed_s)
        kept.update((owner, gap_s) for gap_s in change.opened_s)
        assert min(kept.values(), default=0) >= 0
        if count % every == 0:
            until_s = max(end_s for _, _, end_s in booked[:count]) + more_s
            owners, gap_s = gaps_s(*columns(booked[:count]), until_s)
            found = Counter(zip(owners.tolist(), gap_s.tolist(), strict=True))
            open_s = busy.open_gaps_s(busy.owners(), until_s).tolist()
            still_open = zip(busy.owners(), open_s, strict=True)
            assert +kept + Counter(each for each in still_open if each[1] > 0) == found
    assert busy.latest_start_s == max([0.0, *(start_s for _, start_s, _ in booked)])


def test_an_interval_tells_which_gaps_it_closes_and_opens():
    busy = BusyTime()
    assert busy.add(7, 1.0, 3.0) == ((), ())
    assert busy.add(7, 2.0, 4.0) == ((), ())  # overlaps
    assert busy.add(7, 4.0, 5.0) == ((), ())  # touches
    assert busy.add(7, 6.5, 7.0) == ((), (1.5,))
    assert busy.add(7, 6.5, 6.75) == ((), ())  # begins with the last one
    assert busy.add(8, 0.0, 1.0) == ((), ())  # of another owner
    assert busy.add(7, 5.25, 5.5) == ((1.5,), (0.25, 1.0))  # late, within a gap
    assert busy.add(7, 5.0, 5.25) == ((0.25, 1.0), (1.0,))  # late, fills a gap
    assert busy.add(7, 0.25, 0.5) == ((), (0.5,))  # before all
    assert busy.add(7, 0.0, 9.0) == ((0.5, 1.0), ())  # over all
    assert busy.owners() == [7, 8]
    assert busy.open_gaps_s([7, 9, 8], 10.0).tolist() == [1.0, 0.0, 9.0]
    assert busy.open_gaps_s([7, 8], 5.0).tolist() == [0.0, 4.0]  # 7 is busy then


def test_gaps_of_overlapping_and_disordered_intervals():
    owner, gap_s = gaps_s(
        np.array([2, 1, 2, 2]),
        np.array([5.0, 1.0, 0.0, 1.0]),
        np.array([6.0, 2.0, 4.0, 2.0]),
        10.0,
    )
    np.testing.assert_array_equal(owner, [1, 2, 2])
    np.testing.assert_allclose(gap_s, [8, 1, 4])
