"""The upper half of single precision."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from fl.codecs.codec import CodedNumbers, FloatingPoint

_LARGEST_BITS = np.uint32(0x7F7F0000)
"""Of the largest finite number of this type, in single precision."""
_LARGEST = float(_LARGEST_BITS.view(np.float32))
_HALF, _ONE = np.uint32(0x7FFF), np.uint32(1)


@dataclass(frozen=True, kw_only=True)
class Bf16Codec(FloatingPoint):
    """Brain floating point: 8 bits of mantissa, the range of single precision."""

    kind: Literal["bf16"] = "bf16"

    @property
    def dtype(self) -> Literal["BF16"]:
        """Type on the air."""
        return "BF16"

    def encode(self, values: Float[np.ndarray, " value"], rng: np.random.Generator) -> CodedNumbers:
        """Round to the nearest, ties to even; ``|x - q(x)| <= 2^-8 |x|`` of normal numbers."""
        del rng
        bits = np.clip(values, -_LARGEST, _LARGEST).astype(np.float32).view(np.uint32)
        upper = (bits + _HALF + ((bits >> np.uint32(16)) & _ONE)) >> np.uint32(16)
        return CodedNumbers(upper.astype(np.uint16).view(np.int16))

    def decode(self, coded: CodedNumbers, count: int) -> Float[np.ndarray, " value"]:
        """Return the numbers that were sent."""
        del count
        bits = coded.data.view(np.uint16).astype(np.uint32) << np.uint32(16)
        return bits.view(np.float32).astype(np.float64)
