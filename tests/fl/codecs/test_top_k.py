"""The largest entries of a tensor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fl.codecs.top_k import TopKCodec

VALUES = arrays(np.float64, st.integers(1, 60), elements=st.floats(-10, 10))


def kept(codec, values):
    sent = np.zeros_like(values)
    places = codec.select(values)
    sent[places] = values[places]
    return sent


@given(VALUES, st.floats(0.01, 0.99))
def test_what_is_left_out_is_at_most_one_minus_k_over_d_of_the_whole(values, fraction):
    codec = TopKCodec(fraction=fraction)
    num_kept = codec.num_kept(len(values))
    assert len(codec.select(values)) == num_kept
    left = np.square(values - kept(codec, values)).sum()
    bound = (1 - num_kept / len(values)) * np.square(values).sum()
    assert left <= bound * (1 + 1e-12)


@given(VALUES, st.floats(0.01, 0.99))
def test_nothing_left_out_is_larger_than_something_sent(values, fraction):
    places = TopKCodec(fraction=fraction).select(values)
    assert (np.diff(places) > 0).all()
    others = np.delete(np.abs(values), places)
    assert others.max(initial=0.0) <= np.abs(values[places]).min()


@pytest.mark.parametrize(
    ("fraction", "count", "num_kept"), [(0.1, 30, 3), (0.1, 31, 4), (0.5, 1, 1)]
)
def test_part_of_the_entries_is_rounded_up(fraction, count, num_kept):
    assert TopKCodec(fraction=fraction).num_kept(count) == num_kept


def test_of_equal_ones_the_first_are_sent():
    assert TopKCodec(fraction=0.5).select(np.array([1.0, -2.0, 1.0, 1.0])).tolist() == [0, 1]
