"""The largest entries of each tensor."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt, Lt
from jaxtyping import Float, Int


@dataclass(frozen=True, kw_only=True)
class TopKCodec:
    """The entries of largest magnitude of each tensor, and where they are.

    Of ``d`` entries ``k`` are kept, and ``|x - C(x)|^2 <= (1 - k / d) |x|^2``: Stich et al.,
    Sparsified SGD with Memory, arXiv:1809.07599.
    """

    fraction: Annotated[float, Gt(0), Lt(1)] = 0.1
    """Part of the entries of each tensor that is sent, rounded up to a whole number of them."""
    error_feedback: bool = True
    """Whether a client adds to its next change what it has left out so far."""
    kind: Literal["top_k"] = "top_k"

    def num_kept(self, count: int) -> int:
        """Return how many of so many entries are sent."""
        # 0.1 * 30 is 3.0000000000000004
        return math.ceil(round(self.fraction * count, 9))

    def select(self, values: Float[np.ndarray, " value"]) -> Int[np.ndarray, " kept"]:
        """Return the places of the largest magnitudes, ascending; of equal ones the first."""
        kept, size = self.num_kept(len(values)), np.abs(values)
        if kept == 0:
            return np.zeros(0, dtype=np.int64)
        smallest = np.partition(size, len(size) - kept)[len(size) - kept]
        above = np.flatnonzero(size > smallest)
        equal = np.flatnonzero(size == smallest)[: kept - len(above)]
        return np.sort(np.concatenate([above, equal]))
