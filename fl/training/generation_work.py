"""What writing costs as a function of its shape, from a few decode steps that are counted.

The operations of a decode step are affine in the number of cached tokens, for each text:
``f + B (a + b L)``, of which ``f`` is what weights cost before they meet a token (the products of a
tensor train). Weights are read once a step, rows of embeddings and the cache once a text. Three
shapes are counted, one more checks them; a model that does not obey (whose attention forgets what
is far away) is counted step by step.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from fl.clients.work import DecodeSteps
from fl.payload import Tensors
from fl.training.decode_count import DecodeCost, count_decode
from fl.training.in_place import Kind, in_place, kind_of

Count = Callable[[int, int], DecodeCost]
"""Counts the decode step of so many texts behind so many cached tokens a text."""
CountedDecode = dict[tuple[Kind, int, int], DecodeCost]
"""Decode steps that were counted: by shapes that matter, texts, cached tokens."""
AttendedPairs = Callable[[int], int]
"""Pairs of a token and one that it sees, in a text of so many tokens: ``T (T + 1) / 2`` if each
sees all before it."""


def keys_of_last(pairs: AttendedPairs, num_tokens: int) -> int:
    """Return the keys that the last of so many tokens attends to, itself among them."""
    return pairs(num_tokens) - pairs(num_tokens - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeFit:
    """The cost of a decode step as a function of its shape."""

    one: DecodeCost
    """Of one text behind one token."""
    longer: DecodeCost
    """Of one text behind two tokens."""
    broader: DecodeCost
    """Of two texts behind one token."""

    @classmethod
    def of(cls, count: Count, *, longest: int) -> "DecodeFit | None":
        """Count three shapes; ``None`` if another, ``longest`` tokens cached, does not obey."""
        found = cls(one=count(1, 1), longer=count(1, 2), broader=count(2, 1))
        return found if count(2, longest) == found.step(2, longest) else None

    def step(self, batch_size: int, num_cached: int) -> DecodeCost:
        """Return the cost of a decode step."""
        more_texts, more_tokens = batch_size - 1, batch_size * (num_cached - 1)

        def value(one: int, longer: int, broader: int) -> int:
            return one + more_texts * (broader - one) + more_tokens * (longer - one)

        one, longer, broader = self.one, self.longer, self.broader
        return DecodeCost(
            flop=value(one.flop, longer.flop, broader.flop),
            frozen_bytes=value(one.frozen_bytes, longer.frozen_bytes, broader.frozen_bytes),
            trained_bytes=value(one.trained_bytes, longer.trained_bytes, broader.trained_bytes),
            cache_bytes=value(one.cache_bytes, longer.cache_bytes, broader.cache_bytes),
        )


class DecodeModel:
    """Gives the cost of decode steps on a module; the module's values stay as they are.

    Parameters
    ----------
    module
        Language model with a method installed.
    max_tokens
        Tokens of the longest text, which checks what was found on short ones.
    attended_pairs
        Of sparse attention; ``None``: every pair.
    counted
        Steps that were counted on an equal module; those counted from now on are added.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        max_tokens: int,
        attended_pairs: AttendedPairs | None,
        counted: CountedDecode,
    ) -> None:
        self._module = module
        self._longest = max(max_tokens - 1, 3)
        self._attended_pairs = attended_pairs
        self._counted = counted
        self._fits: dict[Kind, DecodeFit | None] = {}

    def steps(self, batch_size: int, cached: Sequence[int], tensors: Tensors) -> list[DecodeCost]:
        """Return the steps of a batch behind so many cached tokens each.

        With sparse attention a step reads, and multiplies, the keys that it attends to alone.
        """
        pairs = self._attended_pairs
        if pairs is not None:
            cached = [keys_of_last(pairs, each + 1) - 1 for each in cached]
        cost_of = self._cost_of(tensors)
        return [cost_of(batch_size, each) for each in cached]

    def step(self, batch_size: int, num_cached: int, tensors: Tensors) -> DecodeCost:
        """Return the cost of a step of a batch that attends to so many tokens before it.

        Parameters
        ----------
        batch_size
            Texts.
        num_cached
            Tokens before the step's own, of each text.
        tensors
            Values of a client, for their shapes.
        """
        return self._cost_of(tensors)(batch_size, num_cached)

    def _cost_of(self, tensors: Tensors) -> Count:
        """Return what gives the cost of a step with a client's tensors."""
        kind = kind_of((), tensors)

        def count(batch_size: int, num_cached: int) -> DecodeCost:
            key = (kind, batch_size, num_cached)
            if key not in self._counted:
                with in_place(self._module, tensors):
                    self._counted[key] = count_decode(
                        self._module,
                        batch_size=batch_size,
                        num_cached=num_cached,
                        trained=tensors,
                    )
            return self._counted[key]

        if kind not in self._fits:
            self._fits[kind] = DecodeFit.of(count, longest=self._longest)
        fit = self._fits[kind]
        return count if fit is None else fit.step


def in_runs(steps: Sequence[DecodeCost]) -> tuple[DecodeSteps, ...]:
    """Put decode steps together that grow alike, in order."""
    return tuple(_runs(steps))


def _runs(steps: Sequence[DecodeCost]) -> Iterator[DecodeSteps]:
    growths = [_growth(before, after) for before, after in pairwise(steps)]
    first = 0
    while first < len(steps):
        after, growth = first + 1, (0, 0)
        if after < len(steps) and (found := growths[first]) is not None:
            growth = found
            while after < len(steps) and growths[after - 1] == growth:
                after += 1
        head = steps[first]
        yield DecodeSteps(
            num_steps=after - first,
            flop=head.flop,
            flop_growth=growth[0],
            frozen_bytes=head.frozen_bytes,
            trained_bytes=head.trained_bytes,
            cache_bytes=head.cache_bytes,
            cache_growth_bytes=growth[1],
        )
        first = after


def _growth(before: DecodeCost, after: DecodeCost) -> tuple[int, int] | None:
    """Return what a step has more of operations and cache; ``None`` if it reads other weights."""
    if (before.frozen_bytes, before.trained_bytes) != (after.frozen_bytes, after.trained_bytes):
        return None
    return after.flop - before.flop, after.cache_bytes - before.cache_bytes
