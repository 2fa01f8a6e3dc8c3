"""How often a reward model is right on pairs that it was not trained on."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_Z = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """A reward model on held-out pairs."""

    num_pairs: int
    """Pairs that were scored."""
    accuracy: float
    """Part of the pairs whose better answer scores higher, in [0, 1]; a tie is half right."""
    low: float
    """Lower end of its 95 % interval (Wilson)."""
    high: float
    """Upper end."""
    mean: float
    """Mean output of the model over both answers of the pairs."""
    std: float
    """Standard deviation of it."""


def summarise(better: Float[np.ndarray, " pair"], worse: Float[np.ndarray, " pair"]) -> HeldOut:
    """Return what the outputs for both answers of some pairs, at least one, say of a model."""
    accuracy = float(((better > worse) + 0.5 * (better == worse)).mean())
    both = np.concatenate([better, worse])
    low, high = wilson_interval(accuracy, len(better))
    return HeldOut(
        num_pairs=len(better),
        accuracy=accuracy,
        low=low,
        high=high,
        mean=float(both.mean()),
        std=float(both.std()),
    )


def wilson_interval(part: float, num: int) -> tuple[float, float]:
    """Return the 95 % interval of a part of so many (Wilson 1927).

    Examples
    --------
    >>> [round(end, 4) for end in wilson_interval(0.8, 100)]
    [0.7112, 0.8666]
    """
    shift = _Z**2 / num
    middle = (part + shift / 2) / (1 + shift)
    half = _Z * math.sqrt(part * (1 - part) / num + shift / (4 * num)) / (1 + shift)
    return max(0.0, middle - half), min(1.0, middle + half)
