"""What a job costs: operations as a function of batch shapes, from a few steps that are counted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from fl.payload import Tensors
from fl.training.step_count import StepCost, count_step

NO_TENSORS: Tensors = MappingProxyType({})

_Kind = tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]
Counted = dict[tuple[_Kind, int, int, int | None], StepCost]
"""Counted steps: by what is trained, shapes that matter, texts, tokens, scored tokens."""


class CostModel:
    """Counts steps on a module; the module's values stay as they are.

    The operations of a transformer are a polynomial of the batch shape, ``f + B (a + b T + c T^2) +
    h A`` for ``B`` texts of ``T`` tokens (``f`` is what weights cost before they meet a text, such
    as the products of a tensor train), of which a language model scores ``A``: four shapes are run,
    a fifth for ``h``, and the rest is exact arithmetic. One more shape, the longest, checks that; a
    model that does not obey is counted shape by shape.

    Clients whose tensors differ in length alone (how many experts they hold) are counted by the
    row: each row costs the same for each token, which one client's tensors check.

    The module may lie on the meta device: nothing is computed there, only counted.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        max_tokens: int,
        row_groups: Sequence[Sequence[str]] = (),
        counted: "Counted | None" = None,
    ) -> None:
        """Count on a module.

        Parameters
        ----------
        module
            Model with a method installed.
        max_tokens
            Tokens of the longest text.
        row_groups
            Groups of tensors whose first dimensions are equal and differ from client to client.
        counted
            Steps that were counted on an equal module; those counted from now on are added.
        """
        self._module = module
        self._max_tokens = max_tokens
        self._row_groups = tuple(tuple(group) for group in row_groups)
        self._rows: dict[tuple[_Kind, bool], _Rows | None] = {}
        self._polynomials: dict[tuple[_Kind, bool], _Polynomial | None] = {}
        self._steps: Counted = {} if counted is None else counted

    def count(
        self,
        trainable: Sequence[str],
        *,
        batch_size: int,
        num_tokens: int,
        num_asked: int | None = None,
        tensors: Tensors = NO_TENSORS,
    ) -> StepCost:
        """Count one step by running it, once a shape.

        Parameters
        ----------
        trainable
            Names of the trained parameters; without any, the step is a forward pass alone.
        batch_size
            Texts in the batch.
        num_tokens
            Tokens a text, padding included.
        num_asked
            Tokens of answers in the batch, which a language model scores; ``None`` for a model that
            classifies.
        tensors
            Values of a client whose shapes matter (its ranks); those in place for others.
        """
        kind = _kind_of(trainable, tensors)
        key = (kind, batch_size, num_tokens, num_asked)
        if key not in self._steps:
            with _in_place(self._module, tensors):
                self._steps[key] = count_step(
                    self._module,
                    trainable,
                    batch_size=batch_size,
                    num_tokens=num_tokens,
                    num_asked=num_asked,
                )
        return self._steps[key]

    def step_flop(
        self,
        trainable: Sequence[str],
        *,
        batch_size: int,
        num_tokens: int,
        num_asked: int | None = None,
        tensors: Tensors = NO_TENSORS,
    ) -> int:
        """Return the operations of one step, forward and backward; arguments as :meth:`count`."""
        is_writing = num_asked is not None
        shape = (batch_size, num_tokens, num_asked)
        polynomial = self._polynomial(trainable, tensors, is_writing=is_writing)
        return self._shape_flop(polynomial, trainable, shape, tensors=tensors)

    def job_flop(
        self,
        trainable: Sequence[str],
        *,
        batches: Sequence[Int[np.ndarray, " text"]],
        lengths: Int[np.ndarray, " text"],
        answer_lengths: Int[np.ndarray, " text"] | None = None,
        tensors: Tensors = NO_TENSORS,
    ) -> int:
        """Sum the steps of a job, each padded to its longest text.

        Parameters
        ----------
        trainable
            Names of the trained parameters; without any, batches pass forward only.
        batches
            Texts of each step, indices into ``lengths``.
        lengths
            Tokens of each text of the table.
        answer_lengths
            Tokens of each answer; ``None`` where texts are classified.
        tensors
            Values of the client, for their shapes.
        """
        if not batches:
            return 0
        is_writing = answer_lengths is not None
        polynomial = self._polynomial(trainable, tensors, is_writing=is_writing)
        shapes = (
            (
                len(batch),
                int(lengths[batch].max()),
                None if answer_lengths is None else int(answer_lengths[batch].sum()),
            )
            for batch in batches
        )
        return sum(
            self._shape_flop(polynomial, trainable, shape, tensors=tensors) for shape in shapes
        )

    def _shape_flop(
        self,
        polynomial: "_Polynomial | None",
        trainable: Sequence[str],
        shape: tuple[int, int, int | None],
        *,
        tensors: Tensors,
    ) -> int:
        """Return the operations of a step of so many texts, tokens and scored tokens."""
        batch_size, num_tokens, num_asked = shape
        if polynomial is not None:
            return polynomial.value(batch_size, num_tokens, num_asked or 0)
        return self.count(
            trainable,
            batch_size=batch_size,
            num_tokens=num_tokens,
            num_asked=num_asked,
            tensors=tensors,
        ).flop

    def _polynomial(
        self, trainable: Sequence[str], tensors: Tensors, *, is_writing: bool
    ) -> "_Polynomial | None":
        """Return what :meth:`_fit` would, by the row where clients differ in rows alone."""
        if any(group[0] in tensors for group in self._row_groups):
            single = _with_rows(tensors, self._row_groups, 1)
            key = (_kind_of(trainable, single), is_writing)
            if key not in self._rows:
                self._rows[key] = self._fit_rows(
                    trainable, tensors, single=single, is_writing=is_writing
                )
            rows = self._rows[key]
            if rows is not None:
                return rows.polynomial(self._lengths(tensors))
        key = (_kind_of(trainable, tensors), is_writing)
        if key not in self._polynomials:
            self._polynomials[key] = self._fit(trainable, tensors, is_writing=is_writing)
        return self._polynomials[key]

    def _lengths(self, tensors: Tensors) -> Sequence[int]:
        """Return the rows of each group."""
        return [tensors[group[0]].shape[0] for group in self._row_groups]

    def _fit_rows(
        self, trainable: Sequence[str], tensors: Tensors, *, single: Tensors, is_writing: bool
    ) -> "_Rows | None":
        """Count a row of each group; ``None`` if that does not explain the tensors given."""
        base = self._fit(trainable, single, is_writing=is_writing)
        if base is None:
            return None

        def count(values: Tensors) -> int:
            num_asked = 1 if is_writing else None
            return self.count(
                trainable, batch_size=1, num_tokens=1, num_asked=num_asked, tensors=values
            ).flop

        one = count(single)
        per_row = [count(_with_rows(single, [group], 2)) - one for group in self._row_groups]
        rows = _Rows(base=base, per_row=tuple(per_row))
        found = self._fit(trainable, tensors, is_writing=is_writing)
        return rows if found == rows.polynomial(self._lengths(tensors)) else None

    def _fit(
        self, trainable: Sequence[str], tensors: Tensors, *, is_writing: bool
    ) -> "_Polynomial | None":
        """Return the polynomial through a few shapes; ``None`` if the longest pair does not fit."""

        def count(batch_size: int, num_tokens: int, num_asked: int = 1) -> int:
            return self.count(
                trainable,
                batch_size=batch_size,
                num_tokens=num_tokens,
                num_asked=num_asked if is_writing else None,
                tensors=tensors,
            ).flop

        ones = [count(1, num_tokens) for num_tokens in (1, 2, 3)]
        per_asked = count(1, 3, 2) - ones[2] if is_writing else 0
        with_asked = 2 * ones[0] - count(2, 1)
        found = _Polynomial(
            fixed=with_asked - per_asked,
            per_text=(ones[0] - with_asked, ones[1] - with_asked, ones[2] - with_asked),
            per_asked=per_asked,
        )
        longest = (2, self._max_tokens, self._max_tokens)
        return found if count(*longest) == found.value(*longest) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Polynomial:
    """Operations of a step as a function of its shape."""

    fixed: int
    """Without any text."""
    per_text: tuple[int, int, int]
    """Of a text of 1, 2 and 3 tokens, no token of it scored."""
    per_asked: int
    """Of scoring one token."""

    def value(self, batch_size: int, num_tokens: int, num_asked: int) -> int:
        per_text = _through_samples(self.per_text, num_tokens)
        return self.fixed + batch_size * per_text + num_asked * self.per_asked


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Operations of a step as a function of its shape and of the rows of the groups."""

    base: _Polynomial
    """With one row in each group."""
    per_row: tuple[int, ...]
    """What a row more adds for each token, by group."""

    def polynomial(self, lengths: Sequence[int]) -> _Polynomial:
        """Return the operations with this many rows in each group."""
        more = sum((length - 1) * flop for length, flop in zip(lengths, self.per_row, strict=True))
        first, second, third = self.base.per_text
        return replace(self.base, per_text=(first + more, second + 2 * more, third + 3 * more))


def _with_rows(
    tensors: Tensors, row_groups: Sequence[Sequence[str]], count: int
) -> dict[str, torch.Tensor]:
    """Let some groups have this many copies of their first row; only shapes matter."""
    named = [name for group in row_groups for name in group]
    return {**tensors, **{name: torch.cat([tensors[name][:1]] * count) for name in named}}


def _kind_of(trainable: Sequence[str], tensors: Tensors) -> "_Kind":
    """Name everything but the batch that operations depend on."""
    return tuple(trainable), tuple(tuple(tensors[name].shape) for name in sorted(tensors))


@contextmanager
def _in_place(module: nn.Module, tensors: Tensors) -> Iterator[None]:
    """Let a client's values stand in the module, and put back what was there."""
    parameters = dict(module.named_parameters())
    before = {name: parameters[name].data for name in tensors}
    for name, tensor in tensors.items():
        parameters[name].data = tensor
    try:
        yield
    finally:
        for name, value in before.items():
            parameters[name].data = value


def _through_samples(samples: Sequence[int], num_tokens: int) -> int:
    """Evaluate, in whole numbers, the quadratic through its values at 1, 2 and 3 (Newton)."""
    first, second, third = samples
    slope, bend = second - first, third - 2 * second + first
    steps = num_tokens - 1
    return first + steps * slope + steps * (steps - 1) // 2 * bend
