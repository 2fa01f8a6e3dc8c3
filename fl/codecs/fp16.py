"""Half precision."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from fl.codecs.codec import CodedNumbers, FloatingPoint

_LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True, kw_only=True)
class Fp16Codec(FloatingPoint):
    """Half precision: 11 bits of mantissa, magnitudes up to 65504 (larger ones become that)."""

    kind: Literal["fp16"] = "fp16"

    @property
    def dtype(self) -> Literal["F16"]:
        """Type on the air."""
        return "F16"

    def encode(self, values: Float[np.ndarray, " value"], rng: np.random.Generator) -> CodedNumbers:
        """Round to the nearest; ``|x - q(x)| <= 2^-11 |x|``, or ``2^-25`` below ``2^-14``."""
        del rng
        return CodedNumbers(np.clip(values, -_LARGEST, _LARGEST).astype(np.float16))

    def decode(self, coded: CodedNumbers, count: int) -> Float[np.ndarray, " value"]:
        """Return the numbers that were sent."""
        del count
        return coded.data.astype(np.float64)
