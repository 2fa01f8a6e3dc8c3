"""What crosses the link: named tensors, and exactly how many bytes they are when encoded.

The encoding is safetensors: 8 bytes of header length, a JSON header padded to a multiple of 8
bytes, then the tensors. Nothing is ever unpickled.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import safetensors.torch
import torch

Tensors = Mapping[str, torch.Tensor]

DTYPE_NAMES = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""Types that may travel, in the order in which safetensors writes them."""
_HEADER_LENGTH_BYTES = 8
_ALIGNMENT_BYTES = 8
_LAYOUT_BYTES = 8
"""Says which of the layouts that were agreed on a payload has."""


@dataclass(frozen=True)
class Payload:
    """Named tensors that travel together; at least one."""

    tensors: Tensors

    def __post_init__(self) -> None:
        if not self.tensors:
            msg = "tensors: a payload carries at least 1 tensor, got none"
            raise ValueError(msg)
        for name, tensor in self.tensors.items():
            if tensor.dtype not in DTYPE_NAMES:
                msg = f"tensors: {name} has type {tensor.dtype}, which has no encoding here"
                raise ValueError(msg)

    @property
    def tensor_bytes(self) -> int:
        """Bytes of the values alone: the number that papers count."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of the encoded payload, names and shapes included; nothing is encoded for it."""
        kinds = [(name, each.dtype, each.shape) for name, each in self.tensors.items()]
        return _encoded_bytes(tuple(kinds))

    def encode(self) -> bytes:
        """Return the bytes that cross the link."""
        return safetensors.torch.save(
            {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        )


def agreed_bytes(payload: Payload) -> int:
    """Return the bytes of a payload whose names, shapes and types both ends know already.

    The values, and 8 bytes that say which layout it is: a hash of names, shapes and types.
    """
    return _LAYOUT_BYTES + payload.tensor_bytes


def decode(data: bytes) -> Payload:
    """Read a payload back from its bytes; tensors are on the CPU."""
    return Payload(safetensors.torch.load(data))


@lru_cache(maxsize=256)
def _encoded_bytes(kinds: tuple[tuple[str, torch.dtype, torch.Size], ...]) -> int:
    """Count the encoded bytes from names, types and shapes; payloads of a run have few kinds.

    safetensors pads the JSON header.
    """
    # Wide types come first so that every tensor is aligned; the order matters here because it
    # moves the offsets, whose digits are part of the header.
    rank = {dtype: index for index, dtype in enumerate(DTYPE_NAMES)}
    header, start = {}, 0
    for name, dtype, shape in sorted(kinds, key=lambda kind: (rank[kind[1]], kind[0])):
        end = start + dtype.itemsize * math.prod(shape)
        header[name] = {
            "dtype": DTYPE_NAMES[dtype],
            "shape": list(shape),
            "data_offsets": [start, end],
        }
        start = end
    length = len(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode())
    padded = -(-length // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
    return _HEADER_LENGTH_BYTES + padded + start
