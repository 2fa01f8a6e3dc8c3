"""What a decode step costs: operations and memory traffic, by running it.

One token of each text is passed through the very module, behind a cache of keys and values that the
module itself has filled. Counted are matrix products, as :mod:`fl.training.step_count` counts them,
and the bytes that the step has to read: each weight that takes part once, however many texts there
are, but of tables that tokens are looked up in (embeddings) a row a text; and the cached keys and
values of all texts. What a step reads and writes of activations is left out: a few thousand
numbers beside millions.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode
from transformers.cache_utils import CacheLayerMixin

from fl.models.language import LanguageModel
from fl.models.sampling import may_cache
from fl.training.step_count import any_token, no_mask


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeCost:
    """One decode step of one shape, in single precision."""

    flop: int
    """Matrix products of all texts."""
    frozen_bytes: int
    """Weights read that are in the model as it was loaded."""
    trained_bytes: int
    """Weights read that a method has put there."""
    cache_bytes: int
    """Keys and values of all texts, those of the step's own tokens among them."""


def writes_cached(module: nn.Module) -> bool:
    """Whether a module writes with a cache of keys and values.

    Raises
    ------
    TypeError
        If it writes no text.
    """
    writer = _writer(module)
    return may_cache(writer.causal, writer)


def count_decode(
    module: nn.Module,
    *,
    batch_size: int,
    num_cached: int,
    trained: Collection[str] = (),
) -> DecodeCost:
    """Count a decode step; the module's values stay as they are.

    Parameters
    ----------
    module
        Language model with a method installed, on any device, ``meta`` among them.
    batch_size
        Texts that are written at once.
    num_cached
        Tokens a text before the step, at least 1.
    trained
        Names of the weights that a method has put there.

    Raises
    ------
    TypeError
        If the module writes no text.
    """
    writer = _writer(module)
    device = next(module.parameters()).device
    token = any_token(module)
    cache = transformers.DynamicCache(config=writer.causal.config)

    def read(num_tokens: int) -> None:
        ids = torch.full((batch_size, num_tokens), token, device=device)
        writer.last_scores(ids, torch.ones_like(ids), past_key_values=cache, use_cache=True)

    reads = _Reads(module)
    with no_mask(module), torch.no_grad():
        read(num_cached)
        with FlopCounterMode(display=False) as counter, reads:
            read(1)
    frozen_bytes, trained_bytes = _weight_bytes(module, reads, trained=trained)
    return DecodeCost(
        flop=int(counter.get_total_flops()),
        frozen_bytes=frozen_bytes,
        trained_bytes=trained_bytes,
        cache_bytes=_held_bytes(cache),
    )


def _writer(module: nn.Module) -> LanguageModel:
    if not isinstance(module, LanguageModel):
        msg = f"module: must be a language model to write, got {type(module).__name__}"
        raise TypeError(msg)
    return module


class _Reads(TorchFunctionMode):
    """Notes the weights that functions are given, and the rows that are looked up."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        # A view of a weight shares its storage, which is one object as long as it is held.
        self._held = {
            name: parameter.untyped_storage() for name, parameter in module.named_parameters()
        }
        self._names = {id(storage): name for name, storage in self._held.items()}
        self.whole: set[str] = set()
        """Names of the weights that are read as a whole."""
        self.row_bytes: dict[str, int] = {}
        """Bytes of the rows that are looked up in others, by name."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        given = [*args, *(kwargs or {}).values()]
        if func is functional.embedding:
            indices, table = given[:2]
            if name := self._name_of(table):
                self.row_bytes[name] = indices.numel() * table[0].nbytes
        elif getattr(func, "__name__", "") != "__get__":  # a shape or a device reads nothing
            self._note(given)
        return func(*args, **(kwargs or {}))

    def _note(self, given: Any) -> None:  # noqa: ANN401 -- any nesting of lists
        for each in given:
            if isinstance(each, torch.Tensor):
                if name := self._name_of(each):
                    self.whole.add(name)
            elif isinstance(each, list | tuple):
                self._note(each)

    def _name_of(self, tensor: torch.Tensor) -> str | None:
        return self._names.get(id(tensor.untyped_storage()))


def _weight_bytes(module: nn.Module, reads: _Reads, *, trained: Collection[str]) -> tuple[int, int]:
    """Return the bytes read of the weights of the model, and of those that a method put there."""
    sums = [0, 0]
    for name, parameter in module.named_parameters():
        read_bytes = parameter.nbytes if name in reads.whole else reads.row_bytes.get(name, 0)
        sums[name in trained] += read_bytes
    return sums[0], sums[1]


def _held_bytes(cache: transformers.DynamicCache) -> int:
    """Return the bytes of all keys and values of a cache."""
    layers = [each for each in cache.layers if isinstance(each, CacheLayerMixin)]
    parts = [part for each in layers for part in (each.keys, each.values) if part is not None]
    return sum(part.nbytes for part in parts)
