"""What one optimiser step costs: floating-point operations and peak memory, by running it.

Counted are the matrix products of forward and backward pass (two operations a multiply-add), by
running one batch through the very module with the method's own trainable part: a frozen weight gets
no weight gradient, and below the lowest trained layer nothing is propagated back. So a frozen
backbone of P weights in products takes 2 P operations a token forward and 2 P backward, 6 P if it
is trained: the count from which speeds of devices were derived (fl/clients/device_classes.csv). A
language model
scores as many tokens as the answers of the batch have, as its loss does. Not counted are
element-wise operations, norms, and the optimiser's arithmetic, which are below a few per cent in a
transformer [our estimate].

Memory is what backward keeps, and twice the largest piece of it: while an operation passes back,
the gradient that comes in and the one that goes out are there as well, as large as what it kept
[our choice of a bound]. In a language model that is the operation on the scores of ``n`` asked
tokens of a vocabulary of ``V``, ``2 x 4 n V`` bytes, which backward begins with when all else is
still kept; in a classifier the widest layer or the attention weights of the last block.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fl.clients.precision import Precision, job_memory_bytes
from fl.training.optimiser_settings import ADAM_COPIES, OptimiserSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """One optimiser step on one batch shape, and what is in memory beside it."""

    flop: int
    """Forward and backward."""
    frozen_bytes: int
    """Frozen weights, other models' among them."""
    trained_bytes: int
    """Trained tensors, with gradients and the moments of AdamW."""
    activation_bytes: int
    """What backward keeps and passes on, or a cache of keys and values where that is more."""

    def beside(self, *, frozen_bytes: int = 0, cache_bytes: int = 0) -> "StepCost":
        """Return the same step of a job that holds more.

        Parameters
        ----------
        frozen_bytes
            Weights that stay in memory, in single precision: a reference, models of rewards.
        cache_bytes
            Keys and values, in single precision, while the job writes: between steps, when nothing
            is kept for backward.
        """
        return replace(
            self,
            frozen_bytes=self.frozen_bytes + frozen_bytes,
            activation_bytes=max(self.activation_bytes, cache_bytes),
        )

    def with_gradients(self, num_bytes: int) -> "StepCost":
        """Return the same step with gradients of single texts in memory, beside the others."""
        return replace(self, trained_bytes=self.trained_bytes + num_bytes)

    def under(self, optimiser: OptimiserSettings) -> "StepCost":
        """Return the same step of a job whose optimiser keeps other numbers than AdamW's."""
        each = self.trained_bytes // (2 + ADAM_COPIES)
        return replace(self, trained_bytes=(2 + optimiser.num_copies) * each)

    def memory_bytes(self, precision: Precision = "fp32") -> int:
        """Return the peak memory of the step on a device of this precision."""
        return job_memory_bytes(
            precision,
            frozen_bytes=self.frozen_bytes,
            trained_bytes=self.trained_bytes,
            activation_bytes=self.activation_bytes,
        )


@dataclass(frozen=True, slots=True)
class RunningCount:
    """A step that is being counted: what it has come to so far."""

    flop: Callable[[], int]
    """Operations."""
    activation_bytes: Callable[[], int]
    """What has been kept for backward, and is passed on."""


def count_step(
    module: nn.Module,
    trainable: Sequence[str],
    *,
    batch_size: int,
    num_tokens: int,
    num_asked: int | None,
    watch: Callable[[RunningCount], None] | None = None,
) -> StepCost:
    """Count one step of one batch shape on a module, whose values stay as they are.

    Parameters
    ----------
    module
        Model with a method installed.
    trainable
        Names of the trained parameters; without any, the step is a forward pass alone.
    batch_size
        Texts in the batch.
    num_tokens
        Tokens a text, padding included.
    num_asked
        Tokens that a language model scores; ``None`` for a model that classifies.
    watch
        Given the count before the step runs, to read it on the way.
    """
    parameters = dict(module.named_parameters())
    trained = [parameters[name] for name in trainable]
    device = next(module.parameters()).device
    input_ids = torch.full((batch_size, num_tokens), any_token(module), device=device)
    attention_mask = torch.ones_like(input_ids)
    # Which tokens are scored does not matter, only how many.
    asked = torch.arange(num_asked or 0, device=device)
    places = () if num_asked is None else ((asked % batch_size, asked // batch_size),)
    flags = _only_trainable(module, trained)
    with flags, no_mask(module), FlopCounterMode(display=False) as counter:
        saved = _SavedActivations(module)
        if watch is not None:
            watch(RunningCount(counter.get_total_flops, lambda: saved.peak_bytes))
        is_forward_only = not trained
        with (
            torch.set_grad_enabled(not is_forward_only),
            torch.autograd.graph.saved_tensors_hooks(saved.keep, _same),
        ):
            loss = module(input_ids, attention_mask, *places).logsumexp(dim=-1).mean()
        if not is_forward_only:
            # The counter allows no autograd.grad where a weight itself is passed to a layer.
            loss.backward()
    weight_bytes = sum(parameter.nbytes for parameter in module.parameters())
    trained_bytes = sum(parameter.nbytes for parameter in trained)
    return StepCost(
        flop=int(counter.get_total_flops()),
        frozen_bytes=weight_bytes - trained_bytes,
        trained_bytes=(2 + ADAM_COPIES) * trained_bytes,
        activation_bytes=saved.peak_bytes,
    )


def any_token(module: nn.Module) -> int:
    """Return the id of a token that is no padding: which one it is costs nothing.

    Padding without a mask, which is kept from the encoder here, is what transformers warns of.
    """
    config = getattr(module.get_submodule("encoder"), "config", None)
    return 1 if getattr(config, "pad_token_id", None) == 0 else 0


@contextmanager
def no_mask(module: nn.Module) -> Iterator[None]:
    """Let the encoder see no mask while steps are counted.

    transformers looks at a mask's values to skip one that hides nothing, as ours does; on the meta
    device there are no values to look at.
    """
    is_meta = next(module.parameters()).is_meta

    def drop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        # Without a cache transformers looks at the values of positions, too.
        cached = {"use_cache": True} if is_meta and kwargs.get("use_cache") is False else {}
        return args, {**kwargs, **cached, "attention_mask": None}

    hook = module.get_submodule("encoder").register_forward_pre_hook(drop, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


PASSED_ON = 2
"""Gradients as large as the largest piece that is kept: one comes in, one goes out."""


class _SavedActivations:
    """Adds up the memory that the graph keeps for backward, each piece once, weights left out."""

    def __init__(self, module: nn.Module) -> None:
        self._total_bytes = self._largest_bytes = 0
        # A storage is one object however many tensors share it. Those seen are held, so that no
        # two alive at different times share an identity.
        storages = [parameter.untyped_storage() for parameter in module.parameters()]
        self._seen = {id(storage): storage for storage in storages}

    @property
    def peak_bytes(self) -> int:
        """What is there at most: all that is kept, and what is passed on at its largest piece."""
        return self._total_bytes + PASSED_ON * self._largest_bytes

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        # With its history, a result that its own operation saves would keep the graph alive where
        # backward does not reach it.
        tensor = tensor.detach()
        storage = tensor.untyped_storage()
        if id(storage) not in self._seen:
            self._seen[id(storage)] = storage
            self._total_bytes += storage.nbytes()
            self._largest_bytes = max(self._largest_bytes, storage.nbytes())
        return tensor


@contextmanager
def _only_trainable(module: nn.Module, trained: Sequence[torch.Tensor]) -> Iterator[None]:
    """Let gradients flow to these parameters alone, and put flags and gradients back."""
    before = [
        (parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()
    ]
    for parameter in module.parameters():
        parameter.requires_grad = False
        parameter.grad = None
    for tensor in trained:
        tensor.requires_grad = True
    try:
        yield
    finally:
        for parameter, flag, gradient in before:
            parameter.requires_grad = flag
            parameter.grad = gradient
