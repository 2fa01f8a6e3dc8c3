"""What a job costs: operations as a function of batch shapes, from a few steps that are counted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from types import MappingProxyType

import numpy as np
from jaxtyping import Int
from torch import nn

from fl.clients.work import Work
from fl.payload import Tensors
from fl.training.decode_count import writes_cached
from fl.training.generation_work import (
    AttendedPairs,
    CountedDecode,
    DecodeModel,
    in_runs,
)
from fl.training.in_place import Kind, in_place, kind_of
from fl.training.split_count import SplitStep
from fl.training.step_count import StepCost, count_step
from fl.training.step_polynomial import Polynomial, Rows, with_rows

NO_TENSORS: Tensors = MappingProxyType({})

MAX_COUNTED = 4
"""Layers of one shape whose rows are counted one by one; the others cost what the last of them does
[our choice]: query and value of two blocks."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted on a module, or on an equal one."""

    steps: dict[tuple[Kind, int, int, int | None], StepCost] = field(default_factory=dict)
    """By what is trained, shapes that matter, texts, tokens, scored tokens."""
    decode: CountedDecode = field(default_factory=dict)
    split: dict[tuple[int, Kind, int, int, int | None], SplitStep] = field(default_factory=dict)
    """Those of two that share a model: by the blocks of the first, and as ``steps``."""


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
        attended_pairs: AttendedPairs | None = None,
        counted: Counted | None = None,
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
        attended_pairs
            Of sparse attention, whose masked products a module computes all the same: what it would
            compute; ``None``: every pair.
        counted
            Steps that were counted on an equal module; those counted from now on are added.
        """
        self._module = self.module = module
        """What is counted."""
        self._max_tokens = self.max_tokens = max_tokens
        """Tokens of the longest text."""
        self.counted = counted = Counted() if counted is None else counted
        """What has been counted so far."""
        self._row_groups = tuple(tuple(group) for group in row_groups)
        self._rows: dict[tuple[Kind, bool], Rows | None] = {}
        self._polynomials: dict[tuple[Kind, bool], Polynomial | None] = {}
        self._last: tuple[Sequence[str], Tensors, bool, Polynomial | None] | None = None
        self.attended_pairs = attended_pairs
        self._steps = counted.steps
        self._decode = DecodeModel(
            module, max_tokens=max_tokens, attended_pairs=attended_pairs, counted=counted.decode
        )

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
        kind = kind_of(trainable, tensors)
        key = (kind, batch_size, num_tokens, num_asked)
        if key not in self._steps:
            with in_place(self._module, tensors):
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
        sizes = [len(batch) for batch in batches]
        starts, texts = [0, *accumulate(sizes[:-1])], np.concatenate(batches)
        longest = np.maximum.reduceat(lengths[texts], starts).tolist()
        num_asked: list[int | None] = [None] * len(batches)
        if answer_lengths is not None:
            num_asked = np.add.reduceat(answer_lengths[texts], starts).tolist()
        elif polynomial is not None and self.attended_pairs is None:
            return sum(map(polynomial.value, sizes, longest))
        return sum(
            self._shape_flop(polynomial, trainable, shape, tensors=tensors)
            for shape in zip(sizes, longest, num_asked, strict=True)
        )

    def generation_work(
        self,
        *,
        batch_size: int,
        prompt_tokens: int,
        new_tokens: int,
        num_prompts: int | None = None,
        tensors: Tensors = NO_TENSORS,
    ) -> Work:
        """Return what it takes to continue prompts, all as far as they may be continued.

        The prompts are read at once, which gives the first new token of each text; each other one
        takes a decode step, which reads the weights and the cached keys and values of all texts. A
        model that keeps no such cache passes the whole texts forward for each token.

        Parameters
        ----------
        batch_size
            Texts that are written at once.
        prompt_tokens
            Tokens of the longest prompt, to which the others are padded.
        new_tokens
            Tokens that each text may be given, whether it ends before or not.
        num_prompts
            Prompts that differ: equal ones are read once; ``None``: as many as texts.
        tensors
            Values of a client, for their shapes; what a method has put into the model.
        """
        if new_tokens < 1:
            return Work()

        def forward(num_texts: int, num_tokens: int) -> int:
            return self.step_flop(
                (),
                batch_size=num_texts,
                num_tokens=num_tokens,
                num_asked=num_texts,
                tensors=tensors,
            )

        longest = range(prompt_tokens, prompt_tokens + new_tokens)
        if not writes_cached(self._module):
            return Work(flop=sum(forward(batch_size, num_tokens) for num_tokens in longest))
        num_read = batch_size if num_prompts is None else num_prompts
        steps = self._decode.steps(batch_size, longest[:-1], tensors)
        return Work(flop=forward(num_read, prompt_tokens), decode=in_runs(steps))

    def generation_bytes(
        self,
        *,
        batch_size: int,
        prompt_tokens: int,
        new_tokens: int,
        tensors: Tensors = NO_TENSORS,
    ) -> int:
        """Return the bytes of keys and values when the last token is written, in single precision.

        Arguments as :meth:`generation_work`; 0 without a cache.
        """
        if new_tokens < 1 or not writes_cached(self._module):
            return 0
        # The last token is not passed through the model.
        num_cached = max(prompt_tokens + new_tokens - 2, 1)
        return self._decode.step(batch_size, num_cached, tensors).cache_bytes

    def _shape_flop(
        self,
        polynomial: Polynomial | None,
        trainable: Sequence[str],
        shape: tuple[int, int, int | None],
        *,
        tensors: Tensors,
    ) -> int:
        """Return the operations of a step of so many texts, tokens and scored tokens."""
        batch_size, num_tokens, num_asked = shape
        if polynomial is not None:
            flop = polynomial.value(batch_size, num_tokens, num_asked or 0)
            pairs = self.attended_pairs
            if pairs is not None:
                # Dense attention works out both sides of the diagonal, the later tokens too: what
                # is left out is counted on both, so that a window over all saves nothing.
                unattended = num_tokens * (num_tokens + 1) - 2 * pairs(num_tokens)
                flop -= batch_size * unattended * polynomial.per_pair
            return flop
        return self.count(
            trainable,
            batch_size=batch_size,
            num_tokens=num_tokens,
            num_asked=num_asked,
            tensors=tensors,
        ).flop

    def _polynomial(
        self, trainable: Sequence[str], tensors: Tensors, *, is_writing: bool
    ) -> Polynomial | None:
        """Return what :meth:`_fit` would, kept for the tensors of the last call."""
        last = self._last
        if last is None or not (
            last[0] is trainable and last[1] is tensors and last[2] == is_writing
        ):
            found = self._known_fit(trainable, tensors, is_writing=is_writing)
            last = self._last = trainable, tensors, is_writing, found
        return last[3]

    def _known_fit(
        self, trainable: Sequence[str], tensors: Tensors, *, is_writing: bool
    ) -> Polynomial | None:
        """Return what :meth:`_fit` would, by the row where clients differ in rows alone."""
        if any(group[0] in tensors for group in self._row_groups):
            single = with_rows(tensors, self._row_groups, 1)
            key = (kind_of(trainable, single), is_writing)
            if key not in self._rows:
                self._rows[key] = self._fit_rows(
                    trainable, tensors, single=single, is_writing=is_writing
                )
            rows = self._rows[key]
            if rows is not None:
                return rows.polynomial(self._lengths(tensors))
        key = (kind_of(trainable, tensors), is_writing)
        if key not in self._polynomials:
            self._polynomials[key] = self._fit(trainable, tensors, is_writing=is_writing)
        return self._polynomials[key]

    def _lengths(self, tensors: Tensors) -> Sequence[int]:
        """Return the rows of each group."""
        return [tensors[group[0]].shape[0] for group in self._row_groups]

    def _fit_rows(
        self, trainable: Sequence[str], tensors: Tensors, *, single: Tensors, is_writing: bool
    ) -> Rows | None:
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
        per_row: list[int] = []
        counted: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for group in self._row_groups:
            # Layers of one shape cost the same, but for those of the lowest block, below which
            # nothing is propagated back; the sum is checked below.
            shapes = tuple(tuple(single[name].shape) for name in group)
            of_shape = counted.setdefault(shapes, [])
            if len(of_shape) < MAX_COUNTED:
                of_shape.append(count(with_rows(single, [group], 2)) - one)
            per_row.append(of_shape[-1])
        rows = Rows(base=base, per_row=tuple(per_row))
        found = self._fit(trainable, tensors, is_writing=is_writing)
        return rows if found == rows.polynomial(self._lengths(tensors)) else None

    def _fit(
        self, trainable: Sequence[str], tensors: Tensors, *, is_writing: bool
    ) -> Polynomial | None:
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
        found = Polynomial(
            fixed=with_asked - per_asked,
            per_text=(ones[0] - with_asked, ones[1] - with_asked, ones[2] - with_asked),
            per_asked=per_asked,
        )
        longest = (2, self._max_tokens, self._max_tokens)
        return found if count(*longest) == found.value(*longest) else None
