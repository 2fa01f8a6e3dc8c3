"""Masked sums: masks cancel to the bit, hide what is sent, and weigh what is counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl.privacy.secure_sum import (
    from_words,
    masked,
    masking_flop,
    setup_bytes,
    step_of,
    to_words,
    unmask_bytes,
    unmasked_sum,
)


def draw(one, other):
    return np.random.default_rng([one, other])


@given(st.data(), st.sampled_from([16, 32]))
def test_masks_cancel_to_the_bit_whoever_drops_out(data, bits):
    everyone = sorted(data.draw(st.sets(st.integers(0, 50), min_size=1, max_size=7)))
    here = data.draw(st.lists(st.sampled_from(everyone), min_size=1, unique=True))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    words = {each: rng.integers(2**bits, size=5, dtype=np.uint64) for each in here}
    sent = {
        each: masked(words[each], each, everyone=everyone, draw=draw, bits=bits) for each in here
    }
    assert all((each < 2**bits).all() for each in sent.values())
    total = unmasked_sum(sent, everyone=everyone, draw=draw, bits=bits)
    assert total.tolist() == [int(n) % 2**bits for n in sum(words.values())]


def test_what_is_sent_is_uniform_whatever_it_hides():
    """A mean of 4000 uniform words is within 4 of its standard errors of the middle."""
    for value in (0, 1000):
        words = np.full(4000, value, dtype=np.uint64)
        sent = masked(words, 1, everyone=[1, 2, 3], draw=draw, bits=16).astype(float)
        assert abs(sent.mean() - 2**15) < 4 * 2**16 / np.sqrt(12 * 4000)
        assert len(np.unique(sent)) > 3000


def test_without_the_masks_of_who_dropped_out_a_sum_is_noise():
    words = np.zeros(4, dtype=np.uint64)
    sent = {1: masked(words, 1, everyone=[1, 2], draw=draw, bits=32)}
    assert unmasked_sum(sent, everyone=[1, 2], draw=draw, bits=32).tolist() == [0, 0, 0, 0]
    assert unmasked_sum(sent, everyone=[1], draw=draw, bits=32).any()


@pytest.mark.parametrize("bits", [16, 32])
def test_sums_of_parts_are_within_half_a_step_a_client(bits):
    rng = np.random.default_rng(0)
    parts = np.array([0.5, 0.3, 0.2])
    values = parts[:, None] * rng.uniform(-4, 4, size=(3, 100))
    values[:, 0] = 4 * parts  # the largest sum there can be
    step = step_of(largest=4.0, bits=bits, num_clients=3)
    words = sum(to_words(each, step=step, bits=bits) for each in values) & np.uint64(2**bits - 1)
    found = from_words(words, step=step, bits=bits)
    assert np.abs(found - values.sum(axis=0)).max() <= 1.5 * step * (1 + 1e-9)
    assert step == pytest.approx(4 / 2 ** (bits - 1), rel=1e-3)


def test_bytes_and_operations_by_hand():
    # 5 clients: two keys of 32 up; for each of 4 others two shares of 33 bytes and a tag of 16
    assert setup_bytes(5) == (64 + 4 * 82, 4 * (64 + 82))
    assert unmask_bytes(5) == (5 * 33, 5 * 4)
    # five masks of 1000 words of 4 bytes, 4 operations a byte
    assert masking_flop(1000, num_clients=5, bits=32) == 80_000
