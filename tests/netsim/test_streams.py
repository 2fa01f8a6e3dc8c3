"""Addressed randomness: many generators at once are those of numpy, one by one."""

import numpy as np
import pytest

from netsim import streams
from netsim.streams import Purpose, StreamsInOrder, each_stream, stream

SEEDS = (0, 1, 2**32 - 1, 2**32, 2**40 + 3, 2**200 + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_stream_is_that_of_numpy_in_state_and_draws(seed):
    ids = np.array([*range(300), 65_535, 65_536, 2**31, 2**32 - 1])
    for purpose in (Purpose.PLACEMENT, Purpose.DEVICE_SPEED):
        found = []
        for rng in each_stream(seed, purpose, ids):
            state = rng.bit_generator.state
            found.append((state, rng.integers(5), rng.random(), rng.standard_normal(size=4)))
        assert len(found) == len(ids)
        for each, (state, whole, real, normals) in zip(ids.tolist(), found, strict=True):
            rng = stream(seed, purpose, each)
            assert rng.bit_generator.state == state
            assert (rng.integers(5), rng.random()) == (whole, real)
            assert rng.standard_normal(size=4).tolist() == normals.tolist()


def test_ids_beyond_a_block_and_none_at_all(monkeypatch):
    monkeypatch.setattr(streams, "_BLOCK", 7)
    ids = np.arange(40)[::-1]
    found = [rng.random() for rng in each_stream(3, Purpose.COHORT, ids)]
    assert found == [stream(3, Purpose.COHORT, each).random() for each in ids.tolist()]
    assert not list(each_stream(3, Purpose.COHORT, ids[:0]))


@pytest.mark.parametrize("seed", SEEDS)
def test_streams_in_order_are_those_of_numpy(seed):
    in_order = StreamsInOrder(seed, Purpose.LAST_BLOCKS)
    for each in (*range(130), 5, 700, 3, 2**32 - 65, 2**32 - 1, 2**40, 64):
        rng, expected = in_order.stream(each), stream(seed, Purpose.LAST_BLOCKS, each)
        assert rng.bit_generator.state == expected.bit_generator.state
        assert rng.random(3).tolist() == expected.random(3).tolist()


def test_an_id_of_two_words_is_refused():
    for bad in (-1, 2**32):
        with pytest.raises(ValueError, match=f"ids: must be within 0 and 4294967295, got .*{bad}"):
            next(each_stream(1, Purpose.COHORT, np.array([3, bad])))


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**70])
@pytest.mark.parametrize("key", [(), (3,), (0, 0), (2**32 - 1, 5), (2**32, 5)])
def test_a_stream_is_that_of_the_spawn_key(seed, key):
    address = np.random.SeedSequence(seed, spawn_key=(int(Purpose.FADING), *key))
    expected = np.random.default_rng(address).random(5)
    assert stream(seed, Purpose.FADING, *key).random(5).tolist() == expected.tolist()


def test_a_negative_address_is_refused():
    for seed, key in ((-1, 0), (1, -1)):
        with pytest.raises(ValueError, match="non-negative"):
            stream(seed, Purpose.FADING, key)
