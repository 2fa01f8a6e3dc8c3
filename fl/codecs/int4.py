"""Four bits a number."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from fl.codecs.codec import CodedNumbers
from fl.codecs.stochastic_rounding import rounded, step_of

NUM_LEVELS = 7
"""On each side of 0."""


@dataclass(frozen=True, kw_only=True)
class Int4Codec:
    """15 evenly spaced levels up to the largest magnitude of each tensor, rounded at random."""

    kind: Literal["int4"] = "int4"

    @property
    def dtype(self) -> Literal["U8"]:
        """Type on the air."""
        return "U8"

    @property
    def has_scale(self) -> bool:
        """Whether each tensor comes with a scale: yes."""
        return True

    def num_items(self, count: int) -> int:
        """Return one item for two numbers."""
        return -(-count // 2)

    def encode(self, values: Float[np.ndarray, " value"], rng: np.random.Generator) -> CodedNumbers:
        """Round to levels; unbiased, ``|x - q(x)| < step = max|x| / 7``; two levels a byte."""
        step = step_of(values, num_levels=NUM_LEVELS)
        level = rounded(values, step=step, num_levels=NUM_LEVELS, rng=rng)
        halves = np.zeros(2 * self.num_items(len(values)), dtype=np.uint8)
        halves[: len(level)] = level + (NUM_LEVELS + 1)
        return CodedNumbers(halves[::2] | (halves[1::2] << 4), step)

    def decode(self, coded: CodedNumbers, count: int) -> Float[np.ndarray, " value"]:
        """Return the levels times the step."""
        halves = np.stack([coded.data & 0x0F, coded.data >> 4], axis=1).reshape(-1)
        return (halves[:count].astype(np.float64) - (NUM_LEVELS + 1)) * coded.scale
