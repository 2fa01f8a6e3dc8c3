"""What one optimiser step costs either side of a cut through the blocks of a transformer.

One side has the embedding and the first blocks, the other the rest with the head. The step is run
as a whole and watched at the cut: what is counted until the output of the last block below has been
computed is the first side's forward pass; what is counted from then until the gradient of that
output is known is the other side's; the rest is the first side's backward pass. The three sum to
the step.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fl.models.architecture import transformer_blocks
from fl.training.step_count import RunningCount, StepCost, count_step


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitStep:
    """One optimiser step on one batch shape, shared by two sides."""

    before_flop: int
    """Forward pass below the cut."""
    server_flop: int
    """Forward and backward pass above it."""
    after_flop: int
    """Backward pass below the cut."""
    width: int
    """Numbers that cross the cut for each token."""
    client: StepCost
    """What lies below the cut: its operations, and what is in memory beside it."""


def count_split_step(
    module: nn.Module,
    trainable: Sequence[str],
    *,
    cut_layer: int,
    batch_size: int,
    num_tokens: int,
    num_asked: int | None,
) -> SplitStep:
    """Count one step of one batch shape; arguments as :func:`fl.training.step_count.count_step`.

    Parameters
    ----------
    cut_layer
        Blocks below the cut, at least 1.

    Raises
    ------
    ValueError
        If the model has fewer blocks, or passes through one of them several times.
    """
    cut = _Cut(module, check_cut(module, cut_layer))
    with cut.watched():
        whole = count_step(
            module,
            trainable,
            batch_size=batch_size,
            num_tokens=num_tokens,
            num_asked=num_asked,
            watch=cut.watch,
        )
    if cut.num_passes != 1:
        msg = (
            f"cut_layer: needs blocks that are passed once, a {type(module).__name__} passes "
            f"through block {cut_layer} {cut.num_passes} times"
        )
        raise ValueError(msg)
    reached_flop = whole.flop if cut.reached_flop is None else cut.reached_flop
    after_flop = whole.flop - reached_flop
    below = cut.parameters_below()
    trained = set(trainable)
    trained_bytes = sum(each.nbytes for name, each in below.items() if name in trained)
    all_trained_bytes = sum(
        each.nbytes for name, each in module.named_parameters() if name in trained
    )
    share = (trained_bytes, all_trained_bytes) if trained else (0, 1)
    return SplitStep(
        before_flop=cut.forward_flop,
        server_flop=reached_flop - cut.forward_flop,
        after_flop=after_flop,
        width=cut.width,
        client=StepCost(
            flop=cut.forward_flop + after_flop,
            frozen_bytes=sum(each.nbytes for each in below.values()) - trained_bytes,
            trained_bytes=whole.trained_bytes * share[0] // share[1],
            activation_bytes=cut.activation_bytes,
        ),
    )


def check_cut(module: nn.Module, cut_layer: int) -> str:
    """Return the name of the last block below a cut.

    Raises
    ------
    ValueError
        If the model has fewer blocks.
    """
    blocks = transformer_blocks(module)
    if cut_layer > len(blocks):
        msg = f"cut_layer: must be <= {len(blocks)}, the blocks of the model, got {cut_layer}"
        raise ValueError(msg)
    return blocks[cut_layer - 1].name


class _Cut:
    """Watches a step at the output of a block."""

    def __init__(self, module: nn.Module, block: str) -> None:
        self._module = module
        self._block = module.get_submodule(block)
        self._count: RunningCount | None = None
        self._called: dict[nn.Module, bool] = {}  # whether first above the cut
        self.num_passes = 0
        self.forward_flop = 0
        self.reached_flop: int | None = None  # until a gradient has come down to the cut
        self.activation_bytes = 0
        self.width = 0

    def watch(self, count: RunningCount) -> None:
        """Read this count from now on."""
        self._count = count

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Let all modules say when they are called."""
        handles = [
            each.register_forward_pre_hook(lambda called, _: self._note(called))
            for each in self._module.modules()
        ]
        handles.append(self._block.register_forward_hook(self._pass))
        try:
            yield
        finally:
            for each in handles:
                each.remove()

    def parameters_below(self) -> dict[str, nn.Parameter]:
        """Return all weights but those of modules that are called above the cut alone."""
        above, below = (
            {
                id(parameter)
                for called, is_above in self._called.items()
                if is_above == wanted
                for parameter in called.parameters(recurse=False)
            }
            for wanted in (True, False)
        )
        return {
            name: parameter
            for name, parameter in self._module.named_parameters()
            if id(parameter) not in above - below
        }

    def _note(self, called: nn.Module) -> None:
        self._called.setdefault(called, self.num_passes > 0)

    def _pass(self, _: nn.Module, __: Any, output: Any) -> None:  # noqa: ANN401 -- torch's hooks
        hidden: torch.Tensor = output[0] if isinstance(output, tuple) else output
        self.num_passes += 1
        self.width = hidden.shape[-1]
        if self._count is None:
            return
        self.forward_flop = self._count.flop()
        self.activation_bytes = self._count.activation_bytes()
        if hidden.requires_grad:
            hidden.register_hook(self._reach)  # type: ignore[no-untyped-call]

    def _reach(self, _: torch.Tensor) -> None:
        if self._count is not None:
            self.reached_flop = self._count.flop()
