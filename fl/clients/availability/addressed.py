"""Uniform numbers by address, for a million clients at once: a hash of key, client and index.

A generator for each client would take minutes for so many. The hash is the output function of
SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), applied once for each part of the address.
"""

import numpy as np
from jaxtyping import Float, Int

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(
    key: int, client_ids: Int[np.ndarray, " client"], index: Int[np.ndarray, " client"] | int
) -> Float[np.ndarray, " client"]:
    """Return a number within (0, 1) for each client and index, the same whenever it is asked for.

    Parameters
    ----------
    key
        Whole number drawn for one purpose of a run, 0 to 2^63 - 1.
    client_ids
        Whose, each >= 0.
    index
        Which number of each client; may be negative.
    """
    with np.errstate(over="ignore"):
        mixed = _mix(np.full(len(client_ids), key, dtype=np.uint64))
        mixed = _mix(mixed + np.asarray(client_ids).astype(np.uint64) * _GOLDEN)
        places = np.broadcast_to(np.asarray(index, dtype=np.int64), mixed.shape)
        mixed = _mix(mixed + places.astype(np.uint64) * _GOLDEN)
    # 53 bits, and half a step up: never 0 nor 1
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54


def _mix(value: Int[np.ndarray, " client"]) -> Int[np.ndarray, " client"]:
    value = value + _GOLDEN
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Int[np.ndarray, " client"] = value ^ (value >> np.uint64(31))
    return mixed
