"""Rounding to evenly spaced levels at random, so that the mean is the number itself.

A number between two levels goes up with the probability of its distance from the lower one: QSGD,
Alistarh et al., arXiv:1610.02132, with the largest magnitude of the tensor in place of its norm.
Then ``E q(x) = x`` and ``|q(x) - x| < step``.
"""

import numpy as np
from jaxtyping import Float, Int


def step_of(values: Float[np.ndarray, " value"], *, num_levels: int) -> float:
    """Return the distance of two levels: largest magnitude over ``num_levels``, never less.

    Exact in single precision, so that both ends multiply by the same number; 0 where all are 0.
    """
    largest = float(np.abs(values).max(initial=0.0))
    step = np.float32(largest / num_levels)
    if float(step) * num_levels < largest:
        step = np.nextafter(step, np.float32(np.inf))
    return float(step)


def rounded(
    values: Float[np.ndarray, " value"],
    *,
    step: float,
    num_levels: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, " value"]:
    """Return the level of each number, from ``-num_levels`` to ``num_levels``."""
    if step == 0.0:
        return np.zeros(len(values), dtype=np.int8)
    scaled = values / step
    low = np.floor(scaled)
    level = low + (rng.random(len(values)) < scaled - low)
    return np.clip(level, -num_levels, num_levels).astype(np.int8)
