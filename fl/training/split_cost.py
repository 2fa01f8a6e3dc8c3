"""What jobs cost either side of a cut: the costs of a whole job, seen part by part.

Each part of a step is a polynomial of the batch shape as the whole is, so each is a cost model of
its own; all read the same counted steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from fl.models.architecture import transformer_blocks
from fl.payload import Tensors
from fl.training.cost import NO_TENSORS, CostModel
from fl.training.in_place import in_place, kind_of
from fl.training.split_count import SplitStep, count_split_step
from fl.training.step_count import StepCost


class PartCost(CostModel):
    """The costs of one part of each step; memory is that below the cut.

    Parameters
    ----------
    whole
        Counts whole steps.
    cut_layer
        Blocks below the cut.
    flop_of
        From a step to the operations of the part.
    """

    def __init__(
        self, whole: CostModel, *, cut_layer: int, flop_of: Callable[[SplitStep], int]
    ) -> None:
        super().__init__(whole.module, max_tokens=whole.max_tokens)
        self._split = whole.counted.split
        self._cut_layer = cut_layer
        self._flop_of = flop_of

    def count(
        self,
        trainable: Sequence[str],
        *,
        batch_size: int,
        num_tokens: int,
        num_asked: int | None = None,
        tensors: Tensors = NO_TENSORS,
    ) -> StepCost:
        """Count the part of one step; arguments as :meth:`fl.training.cost.CostModel.count`."""
        step = self.step(
            trainable,
            batch_size=batch_size,
            num_tokens=num_tokens,
            num_asked=num_asked,
            tensors=tensors,
        )
        return replace(step.client, flop=self._flop_of(step))

    def step(
        self,
        trainable: Sequence[str],
        *,
        batch_size: int,
        num_tokens: int,
        num_asked: int | None,
        tensors: Tensors,
    ) -> SplitStep:
        """Return all parts of one step; arguments as :meth:`count`."""
        kind = kind_of(trainable, tensors)
        key = (self._cut_layer, kind, batch_size, num_tokens, num_asked)
        if key not in self._split:
            with in_place(self.module, tensors):
                self._split[key] = count_split_step(
                    self.module,
                    trainable,
                    cut_layer=self._cut_layer,
                    batch_size=batch_size,
                    num_tokens=num_tokens,
                    num_asked=num_asked,
                )
        return self._split[key]


class SplitCost:
    """The costs of jobs that two sides share.

    Parameters
    ----------
    whole
        Counts whole steps.
    cut_layer
        Blocks below the cut, at least 1; all of them where the model has fewer.
    """

    def __init__(self, whole: CostModel, *, cut_layer: int) -> None:
        num_blocks = len(transformer_blocks(whole.module))
        cut_layer = min(cut_layer, num_blocks)
        self.has_all_blocks = cut_layer == num_blocks
        """Whether the head alone is above the cut."""

        def part(flop_of: Callable[[SplitStep], int]) -> PartCost:
            return PartCost(whole, cut_layer=cut_layer, flop_of=flop_of)

        self.client = part(lambda step: step.client.flop)
        """Below the cut, both passes."""
        self.before = part(lambda step: step.before_flop)
        """Below the cut, the forward pass."""
        self.server = part(lambda step: step.server_flop)
        """Above the cut."""
        self._width: int | None = None

    def width(self, trainable: Sequence[str], tensors: Tensors, *, is_writing: bool) -> int:
        """Return the numbers that cross the cut for each token, whatever is trained."""
        if self._width is None:
            num_asked = 1 if is_writing else None
            shape = {"batch_size": 1, "num_tokens": 1}
            step = self.before.step(trainable, **shape, num_asked=num_asked, tensors=tensors)
            self._width = step.width
        return self._width
