"""Secure aggregation: sums of masked whole numbers, in which the masks cancel exactly.

Bonawitz et al., Practical Secure Aggregation for Privacy-Preserving Machine Learning, CCS 2017,
doi:10.1145/3133956.3133982. Client ``i`` sends ``q_i + b_i + sum_{j>i} r_ij - sum_{j<i} r_ji``
modulo ``2^bits``: its numbers, a mask of its own, and one mask a pair. Pair masks of two clients
who are both in the sum cancel. Others the server takes off: ``b_i`` of those who are in it, and
``r_ij`` of those who dropped out, both from seeds that the survivors have shares of. Keys and
shares are not made here: masks are drawn from addressed streams; what keys and shares weigh is
counted.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, UInt64

KEY_BYTES = 32
"""A public key (X25519); each client announces two."""
SHARE_BYTES = 33
"""A share of a secret of 32 bytes, with its index."""
SEALED_BYTES = 2 * SHARE_BYTES + 16
"""Two shares and the tag of their encryption."""
ID_BYTES = 4
"""A client in a list of the server's."""
FLOP_PER_MASK_BYTE = 4
"""Operations to expand a seed into a byte of a mask [our choice]."""

Words = UInt64[np.ndarray, " word"]
Draw = Callable[[int, int], np.random.Generator]
"""Of the mask of a pair, the smaller id first; of a client's own with its id twice."""


def step_of(*, largest: float, bits: int, num_clients: int) -> float:
    """Return the step of fixed-point numbers whose sum stays within ``bits``.

    Numbers of a client are a part of at most ``largest``, and parts sum to 1; each is rounded.
    """
    return largest / (2 ** (bits - 1) - num_clients)


def to_words(values: Float[np.ndarray, " word"], *, step: float, bits: int) -> Words:
    """Return values as whole numbers of steps, modulo ``2^bits``."""
    return np.rint(values / step).astype(np.int64).astype(np.uint64) & _most(bits)


def from_words(words: Words, *, step: float, bits: int) -> Float[np.ndarray, " word"]:
    """Return the values of a sum of words."""
    signed = words.astype(np.int64)
    signed[words >= np.uint64(2 ** (bits - 1))] -= 2**bits
    return signed * step


def masked(
    words: Words, client_id: int, *, everyone: Sequence[int], draw: Draw, bits: int
) -> Words:
    """Return what a client sends.

    Parameters
    ----------
    words
        Its numbers.
    client_id
        Who.
    everyone
        All clients that agreed on masks, this one too.
    draw
        Of masks.
    bits
        Of a word.
    """
    sent = words + _mask(draw(client_id, client_id), len(words), bits)
    for other in everyone:
        sent = sent + _pair(client_id, other, draw, len(words), bits)
    return sent & _most(bits)


def unmasked_sum(
    sent: dict[int, Words], *, everyone: Sequence[int], draw: Draw, bits: int
) -> Words:
    """Return the sum of the numbers of those whose words have come, by client; at least one."""
    num_words = len(next(iter(sent.values())))
    total = np.zeros(num_words, dtype=np.uint64)
    dropped = [each for each in everyone if each not in sent]
    for client_id, words in sent.items():
        total = total + words - _mask(draw(client_id, client_id), num_words, bits)
        for other in dropped:
            total = total - _pair(client_id, other, draw, num_words, bits)
    return total & _most(bits)


def setup_bytes(num_clients: int) -> tuple[int, int]:
    """Return what a client sends and receives before it masks: keys, and shares for all others."""
    others = num_clients - 1
    return (
        2 * KEY_BYTES + others * SEALED_BYTES,
        others * (2 * KEY_BYTES + SEALED_BYTES),
    )


def unmask_bytes(num_clients: int) -> tuple[int, int]:
    """Return what a client sends and receives when masks are taken off: a share of each other."""
    return num_clients * SHARE_BYTES, num_clients * ID_BYTES


def masking_flop(num_words: int, *, num_clients: int, bits: int) -> int:
    """Return the operations in which a client makes its masks: as many as there are clients."""
    return FLOP_PER_MASK_BYTE * num_clients * num_words * bits // 8


def _pair(one: int, other: int, draw: Draw, num_words: int, bits: int) -> Words:
    """Return what a pair's mask adds to the words of the first of two clients."""
    if one == other:
        return np.zeros(num_words, dtype=np.uint64)
    mask = _mask(draw(min(one, other), max(one, other)), num_words, bits)
    return mask if one < other else np.zeros(num_words, dtype=np.uint64) - mask


def _mask(rng: np.random.Generator, num_words: int, bits: int) -> Words:
    return rng.integers(2**bits, size=num_words, dtype=np.uint64)


def _most(bits: int) -> np.uint64:
    return np.uint64(2**bits - 1)
