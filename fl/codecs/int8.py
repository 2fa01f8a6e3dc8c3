"""Eight bits a number."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from fl.codecs.codec import CodedNumbers
from fl.codecs.stochastic_rounding import rounded, step_of

NUM_LEVELS = 127
"""On each side of 0."""


@dataclass(frozen=True, kw_only=True)
class Int8Codec:
    """255 evenly spaced levels up to the largest magnitude of each tensor, rounded at random."""

    kind: Literal["int8"] = "int8"

    @property
    def dtype(self) -> Literal["I8"]:
        """Type on the air."""
        return "I8"

    @property
    def has_scale(self) -> bool:
        """Whether each tensor comes with a scale: yes."""
        return True

    def num_items(self, count: int) -> int:
        """Return one item a number."""
        return count

    def encode(self, values: Float[np.ndarray, " value"], rng: np.random.Generator) -> CodedNumbers:
        """Round to levels; unbiased, ``|x - q(x)| < step = max|x| / 127``."""
        step = step_of(values, num_levels=NUM_LEVELS)
        return CodedNumbers(rounded(values, step=step, num_levels=NUM_LEVELS, rng=rng), step)

    def decode(self, coded: CodedNumbers, count: int) -> Float[np.ndarray, " value"]:
        """Return the levels times the step."""
        del count
        return coded.data * coded.scale
