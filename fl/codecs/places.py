"""Places of entries in a tensor, in bytes: numbers of equal width, or a bit for every entry.

Whichever is shorter; the number of bytes depends on the counts alone.
"""

import numpy as np
from jaxtyping import Int, UInt8


def num_bytes(*, kept: int, count: int) -> int:
    """Return the bytes of the places of ``kept`` out of ``count`` entries."""
    return min(-(-kept * _width(count) // 8), -(-count // 8))


def pack(places: Int[np.ndarray, " kept"], *, count: int) -> UInt8[np.ndarray, " byte"]:
    """Return places, ascending, as bytes."""
    if _is_map(kept=len(places), count=count):
        is_kept = np.zeros(count, dtype=np.uint8)
        is_kept[places] = 1
        return np.packbits(is_kept, bitorder="little")
    bits = (places[:, None] >> np.arange(_width(count))) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little")


def unpack(data: UInt8[np.ndarray, " byte"], *, kept: int, count: int) -> Int[np.ndarray, " kept"]:
    """Return the places that were packed."""
    if _is_map(kept=kept, count=count):
        return np.flatnonzero(np.unpackbits(data, count=count, bitorder="little"))
    width = _width(count)
    bits = np.unpackbits(data, count=kept * width, bitorder="little").reshape(kept, width)
    return (bits.astype(np.int64) << np.arange(width)).sum(axis=1)


def _width(count: int) -> int:
    """Return the bits of a place: ``ceil(log2 count)``."""
    return max(count - 1, 0).bit_length()


def _is_map(*, kept: int, count: int) -> bool:
    return -(-count // 8) <= -(-kept * _width(count) // 8)
