"""What a codec is: a function of one tensor's values, as a flat array of double precision."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Shaped

SCALE_BYTES = 4
"""A scale is sent in single precision."""


@dataclass(frozen=True, slots=True)
class CodedNumbers:
    """Numbers of one tensor as they are sent."""

    data: Shaped[np.ndarray, " item"]
    """Of the codec's type on the air; bf16 as the bits, in int16."""
    scale: float = 1.0
    """What levels are multiplied by; exact in single precision."""


@runtime_checkable
class NumberFormat(Protocol):
    """A codec that writes every number in fewer bits."""

    @property
    def kind(self) -> str:
        """Name in the scenario."""

    @property
    def dtype(self) -> Literal["F16", "BF16", "I8", "U8"]:
        """Type on the air, as safetensors names it."""

    @property
    def has_scale(self) -> bool:
        """Whether each tensor comes with a scale."""

    def num_items(self, count: int) -> int:
        """Return how many items of that type so many numbers take."""

    def encode(self, values: Float[np.ndarray, " value"], rng: np.random.Generator) -> CodedNumbers:
        """Return the numbers as they are sent."""

    def decode(self, coded: CodedNumbers, count: int) -> Float[np.ndarray, " value"]:
        """Return so many numbers as they are received."""


class FloatingPoint:
    """What formats have in common that send one floating-point number for each, without a scale."""

    @property
    def has_scale(self) -> bool:
        """Whether each tensor comes with a scale: no."""
        return False

    def num_items(self, count: int) -> int:
        """Return one item a number."""
        return count


@runtime_checkable
class Selection(Protocol):
    """A codec that sends some entries of each tensor and leaves the others out."""

    @property
    def kind(self) -> str:
        """Name in the scenario."""

    @property
    def error_feedback(self) -> bool:
        """Whether what was left out is added to what is sent next."""

    def num_kept(self, count: int) -> int:
        """Return how many of so many entries are sent."""

    def select(self, values: Float[np.ndarray, " value"]) -> Int[np.ndarray, " kept"]:
        """Return the places of the entries that are sent, ascending."""
