"""Addressed randomness: every draw is named by (seed, purpose, ids), never by call order.

The address of a generator does not change when a client, a method or a purpose is added, so two
variants with one seed have the same world (common random numbers). The address tree is that of
``numpy.random.SeedSequence.spawn``, without its call counter.
"""

from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache, partial
from typing import Any

import numpy as np
from jaxtyping import Int, UInt64
from numpy.random.bit_generator import ISeedSequence

_BLOCK = 65_536
"""Ids whose states are worked out at once."""
_IDS_AHEAD = 64
"""Ids of which :class:`StreamsInOrder` works out the states at once."""
_POOL = 4
"""Words of the pool of ``SeedSequence``."""
_PADDING = (0,) * (_POOL - 1)
"""Between a seed of one word and its spawn key."""
_WORD, _LONG = 0xFFFFFFFF, (1 << 128) - 1
_FIRST_POOL, _TIMES_POOL = 0x43B0D7E5, 0x931E8875
_FIRST_OUT, _TIMES_OUT = 0x8B51F9DD, 0x58F38DED
_MIX_OWN, _MIX_OTHER = 0xCA01F9DD, 0x4973F715
_TIMES_PCG64 = 0x2360ED051FC65DA44385DF649FCCF645
Word = Any
"""A 32-bit word, or an array of them in uint64."""


class Purpose(IntEnum):
    """Purpose of a stream. Append only: a published number is never changed or reused."""

    PLACEMENT = 0
    MOBILITY = 1
    LINE_OF_SIGHT = 2
    SHADOWING = 3
    ANGULAR_SPREAD = 4
    PENETRATION = 5
    FADING = 6
    BLOCK_ERROR = 7
    BACKGROUND_LOAD = 8
    DEVICE_CLASS = 9
    PARTITION = 10
    COHORT = 11
    MODEL_INIT = 12
    METHOD_INIT = 13
    TRAINING = 14
    EVALUATION = 15
    FAULT = 16
    ACCESS = 17
    ACCESS_WAIT = 18
    DEVICE_SPEED = 19
    AVAILABILITY = 20
    BATTERY = 21
    LAST_BLOCKS = 22
    OUTAGE = 23
    CODEC = 24
    PRIVACY = 25
    MASK = 26


def stream(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """Return the generator addressed by (seed, purpose, key), independent of all other draws.

    Parameters
    ----------
    seed
        Root seed of the run, at least 0.
    purpose
        Purpose of the draws.
    *key
        Ids below the purpose, each at least 0: client, cell, round, ...
    """
    words = [seed, *_PADDING, int(purpose), *key]
    if min(words) < 0 or max(words) > _WORD:
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), *key)))
    # The same state from the words that numpy would make of them, in two thirds of the time.
    return np.random.default_rng(np.random.SeedSequence(np.array(words, dtype=np.uint32)))


def each_stream(
    seed: int, purpose: Purpose, ids: Int[np.ndarray, " id"]
) -> Iterator[np.random.Generator]:
    """Return ``stream(seed, purpose, id)`` of many ids, in a sixth of the time.

    It is one generator, put into the state of one id after the other: each is good until the next
    is asked for.

    Parameters
    ----------
    seed, purpose
        As of :func:`stream`.
    ids
        Clients, cells, ..., each 0 to 2^32 - 1.

    Raises
    ------
    ValueError
        If an id is out of range.

    Notes
    -----
    The states are those of ``numpy.random.SeedSequence`` (M. E. O'Neill, "Developing a seed_seq
    alternative", 2015) and of PCG64 as numpy seeds it (O'Neill, HMC-CS-2014-0905); numpy keeps both
    as they are (NEP 19). Only the last word of the address differs between ids, so it is hashed for
    all of them at once. What is drawn from a state is left to numpy.
    """
    if len(ids) and not (ids.min() >= 0 and ids.max() <= _WORD):
        msg = f"ids: must be within 0 and {_WORD}, got {ids.min()} to {ids.max()}"
        raise ValueError(msg)
    pcg64 = np.random.PCG64(0)
    rng = np.random.Generator(pcg64)
    state = pcg64.state
    inner = state["state"]
    for first in range(0, len(ids), _BLOCK):
        block = np.asarray(ids[first : first + _BLOCK]).astype(np.uint64)
        words = _seed_words([seed], [int(purpose)], block)
        for start_high, start_low, step_high, step_low in zip(*words, strict=True):
            step = (((step_high << 64) | step_low) << 1 | 1) & _LONG
            start = step + ((start_high << 64) | start_low)
            inner["state"], inner["inc"] = (start * _TIMES_PCG64 + step) & _LONG, step
            pcg64.state = state
            yield rng


class StreamsInOrder:
    """Streams of ids that are asked for in about ascending order, in less than half the time.

    Parameters
    ----------
    seed, purpose
        As of :func:`stream`.
    """

    def __init__(self, seed: int, purpose: Purpose) -> None:
        self._seed = seed
        self._purpose = purpose
        self._block = lru_cache(maxsize=4)(self._words)

    def stream(self, of_id: int) -> np.random.Generator:
        """Return ``stream(seed, purpose, of_id)``; the id is 0 or more."""
        block, place = divmod(of_id, _IDS_AHEAD)
        if not 0 <= block < _WORD // _IDS_AHEAD:
            return stream(self._seed, self._purpose, of_id)
        state = _State(self._block(block)[place])
        return np.random.Generator(np.random.PCG64(state))  # type: ignore[arg-type]

    def _words(self, block: int) -> UInt64[np.ndarray, "id 4"]:
        ids = np.arange(block * _IDS_AHEAD, (block + 1) * _IDS_AHEAD, dtype=np.uint64)
        words = _seed_words([self._seed], [int(self._purpose)], ids)
        return np.ascontiguousarray(np.array(words, dtype=np.uint64).T)


class _State(ISeedSequence):
    """Gives PCG64 the words of its state, worked out before."""

    def __init__(self, words: UInt64[np.ndarray, " word"]) -> None:
        self._words = words

    def generate_state(
        self, _num_words: int, _dtype: object = np.uint64
    ) -> UInt64[np.ndarray, " word"]:
        """Return the words."""
        return self._words


def _seed_words(
    entropy: list[int], key: list[int], ids: UInt64[np.ndarray, " id"]
) -> list[list[int]]:
    """Return the first four 64-bit words of ``SeedSequence(entropy, spawn_key=(*key, id))``.

    Numbers and arrays of 32-bit words go through the same lines; none overflows 64 bits.
    """
    known = [word for each in entropy for word in _words(each)]
    known += [0] * (_POOL - len(known))
    known += [word for each in key for word in _words(each)]
    hashed = partial(_hashed, _multipliers(_FIRST_POOL, _TIMES_POOL))
    pool = [hashed(word) for word in known[:_POOL]]
    for source in range(_POOL):
        for place in range(_POOL):
            if place != source:
                pool[place] = _mixed(pool[place], hashed(pool[source]))
    for word in (*known[_POOL:], ids):
        pool = [_mixed(each, hashed(word)) for each in pool]
    hashed = partial(_hashed, _multipliers(_FIRST_OUT, _TIMES_OUT))
    halves = [hashed(pool[place % _POOL]) for place in range(2 * _POOL)]
    return [
        (low | (high << np.uint64(32))).tolist()
        for low, high in zip(halves[::2], halves[1::2], strict=True)
    ]


def _words(value: int) -> list[int]:
    """Return the 32-bit words of a whole number, the lowest first; one for 0."""
    num_words = max(1, -(-value.bit_length() // 32))
    return [(value >> 32 * place) & _WORD for place in range(num_words)]


def _multipliers(first: int, times: int) -> Iterator[tuple[int, int]]:
    """Return pairs of neighbours in a sequence of 32-bit powers."""
    while True:
        following = first * times & _WORD
        yield first, following
        first = following


def _hashed(multipliers: Iterator[tuple[int, int]], word: Word) -> Word:
    before, after = next(multipliers)
    word = ((word ^ before) * after) & _WORD
    return word ^ (word >> 16)


def _mixed(own: Word, other: Word) -> Word:
    word = (own * _MIX_OWN - other * _MIX_OTHER) & _WORD
    return word ^ (word >> 16)
