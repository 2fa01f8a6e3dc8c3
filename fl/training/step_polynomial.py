"""Operations of a step as a polynomial of the shape of its batch, and of rows that clients hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from fl.payload import Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Polynomial:
    """Operations of a step as a function of its shape."""

    fixed: int
    """Without any text."""
    per_text: tuple[int, int, int]
    """Of a text of 1, 2 and 3 tokens, no token of it scored."""
    per_asked: int
    """Of scoring one token."""

    @property
    def per_pair(self) -> int:
        """What a pair of query and key costs: the only part that grows with the square."""
        first, second, third = self.per_text
        return (third - 2 * second + first) // 2

    def value(self, batch_size: int, num_tokens: int, num_asked: int = 0) -> int:
        """Return the operations of a step of so many texts, tokens a text and scored tokens."""
        per_text = _through_samples(self.per_text, num_tokens)
        return self.fixed + batch_size * per_text + num_asked * self.per_asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Operations of a step as a function of its shape and of the rows of the groups."""

    base: Polynomial
    """With one row in each group."""
    per_row: tuple[int, ...]
    """What a row more adds for each token, by group."""

    def polynomial(self, lengths: Sequence[int]) -> Polynomial:
        """Return the operations with this many rows in each group."""
        more = sum((length - 1) * flop for length, flop in zip(lengths, self.per_row, strict=True))
        first, second, third = self.base.per_text
        return replace(self.base, per_text=(first + more, second + 2 * more, third + 3 * more))


def with_rows(
    tensors: Tensors, row_groups: Sequence[Sequence[str]], count: int
) -> dict[str, torch.Tensor]:
    """Let some groups have this many copies of their first row; only shapes matter."""
    named = [name for group in row_groups for name in group]
    return {**tensors, **{name: torch.cat([tensors[name][:1]] * count) for name in named}}


def _through_samples(samples: Sequence[int], num_tokens: int) -> int:
    """Evaluate, in whole numbers, the quadratic through its values at 1, 2 and 3 (Newton)."""
    first, second, third = samples
    slope, bend = second - first, third - 2 * second + first
    steps = num_tokens - 1
    return first + steps * slope + steps * (steps - 1) // 2 * bend
