"""Settings of sample-level differential privacy: DP-SGD within each job; no torch here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt
from jaxtyping import Int


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePrivacy:
    """The gradient of each text is clipped, and noise is added to their sum: DP-SGD."""

    clip_norm: Annotated[float, Gt(0)]
    """Length to which the gradient of a text, of all trained tensors together, is shortened if it
    is longer, ``C`` (Euclidean)."""
    noise_multiplier: Annotated[float, Ge(0)]
    """Standard deviation of the noise on the sum of the gradients of a step by ``clip_norm``,
    ``z``; 0: gradients are clipped, and nothing is promised."""
    delta: Annotated[float, Gt(0), Lt(1)] = 1e-5
    """Chance with which the promise may fail; below one by the number of texts of a client."""
    kind: Literal["sample_level"] = "sample_level"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clipping:
    """What clipping met in the steps of a job."""

    num_texts: int
    """Gradients that were summed, over all steps."""
    num_clipped: int
    """Those among them that were longer than ``clip_norm``."""
    median_norm: float
    """Median length before clipping; 0 where there was none."""


def expected_texts(*, batch_size: int, num_texts: int) -> int:
    """Return the texts that a step draws on average: ``batch_size``, or all where they are fewer.

    Sums of gradients are divided by it.
    """
    return min(batch_size, num_texts)


def num_steps_of(
    *, batch_size: int, local_steps: int | None, local_epochs: int | None, num_texts: int
) -> int:
    """Return the steps of a job: given, or as many as passes over the texts would take."""
    if local_steps is not None:
        return local_steps
    size = expected_texts(batch_size=batch_size, num_texts=num_texts)
    return (local_epochs or 0) * -(-num_texts // size)


def poisson_batches(
    samples: Int[np.ndarray, " text"], *, batch_size: int, num_steps: int, seed: int
) -> Iterator[Int[np.ndarray, " drawn_text"]]:
    """Draw the texts of each step: every text with probability ``batch_size / texts``, by itself.

    Batches differ in size, and may be empty. Which places of a shard are drawn goes by its size
    and the seed alone.
    """
    rng = np.random.default_rng([seed, _SAMPLING])
    size = expected_texts(batch_size=batch_size, num_texts=len(samples))
    probability = size / len(samples)
    for _ in range(num_steps):
        yield samples[rng.random(len(samples)) < probability]


def noise_generator(seed: int, *, step: int) -> np.random.Generator:
    """Return what the noise of a step of a job is drawn from."""
    return np.random.default_rng([seed, _NOISE, step])


_SAMPLING, _NOISE = 0x5A, 0x401
"""Purposes, beside the seed of a job."""
