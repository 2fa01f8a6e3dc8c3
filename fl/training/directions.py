"""Random directions of weights, and the weights that a walk along them leads to.

A direction is addressed by a seed and an index: whoever has both draws the same numbers, so that a
step along a direction is told by its index and one number.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float

from fl.payload import Tensors

UNITS = 2.0**40
"""Parts of 1 that a distance is summed in: sums of whole numbers are exact in any order. Finer by
four digits than a weight of 0.1 in single precision; the largest distance is 8 million."""


@dataclass(frozen=True, slots=True)
class Directions:
    """Standard normal numbers for some tensors, drawn on the CPU."""

    seed: int
    names: tuple[str, ...]
    """Tensors that are moved, in the order in which their numbers are drawn."""

    def draw(self, index: int, tensors: Tensors) -> Iterator[tuple[str, torch.Tensor]]:
        """Give the direction of an index, tensor by tensor.

        Parameters
        ----------
        index
            Number of the direction, at least 0.
        tensors
            Tensors of those names, for their shapes.
        """
        address = np.random.SeedSequence(self.seed, spawn_key=(index,))
        generator = torch.Generator().manual_seed(int(address.generate_state(1, np.uint64)[0] >> 1))
        for name in self.names:
            yield name, torch.randn(tensors[name].shape, generator=generator)


@dataclass(slots=True)
class Walk:
    """Weights after steps along directions: ``w = w_0 - sum_j a_j z_j``.

    The weights are a function of the distances ``a`` alone. Distances are summed in whole units, so
    that after another call only directions whose distance differs are drawn again, to the same bit
    as if all were.
    """

    directions: Directions
    initial: Tensors
    """``w_0``, a value for every tensor that is moved."""
    _at: torch.Tensor | None = None
    _units: dict[str, torch.Tensor] = field(default_factory=dict)
    _found: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def tensors(self, distances: Float[torch.Tensor, " direction"]) -> Tensors:
        """Return the weights at these distances, for every tensor that is moved.

        Tensors without values, of a model that is only counted, come back as they are.
        """
        moved = {name: self.initial[name] for name in self.directions.names}
        if any(value.is_meta for value in moved.values()):
            return moved
        if self._at is None:
            self._at = torch.zeros_like(distances)
            self._units = {
                name: torch.zeros(value.shape, dtype=torch.int64) for name, value in moved.items()
            }
            self._found = moved
        changed = torch.nonzero(distances != self._at).flatten().tolist()
        for index in changed:
            self._go(index, start=float(self._at[index]), stop=float(distances[index]))
        if changed:
            self._at = distances.clone()
            self._found = {
                name: (value.double() - self._units[name].double() / UNITS).to(value.dtype)
                for name, value in moved.items()
            }
        return self._found

    def _go(self, index: int, *, start: float, stop: float) -> None:
        """Take back the distance along a direction, and go another."""
        for name, value in self.directions.draw(index, self.initial):
            wide = value.double() * UNITS
            units = self._units[name]
            if start != 0:
                units -= (wide * start).round().to(torch.int64)
            if stop != 0:
                units += (wide * stop).round().to(torch.int64)
