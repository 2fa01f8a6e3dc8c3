"""How forward passes are computed on this machine: in which numbers, and what backward keeps.

Nothing of it belongs to the simulated devices, whose precision is ``clients.precision``: what steps
cost there is counted on passes as they are without these settings.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from fl.models.architecture import transformer_blocks
from fl.models.language import LanguageModel

Autocast = Literal["bf16", "fp16"]
"""Numbers of matrix products: bfloat16 or float16."""
Forward = Callable[..., Any]

DTYPES: dict[Autocast, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
_CACHES = ("past_key_values", "past_key_value", "layer_past")
_compiled: "WeakKeyDictionary[nn.Module, Forward]" = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """Settings of forward passes."""

    autocast: Autocast | None = None
    """Matrix products in half precision by ``torch.autocast``; weights, sums over tokens, losses,
    gradients of weights and the optimiser stay in single precision. ``None``: all single."""
    checkpointing: bool = False
    """Whether backward keeps only what comes into each block, and works the block out again."""
    compiled: bool = False
    """Whether each block is compiled by ``torch.compile``."""

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Let all passes within be computed so.

        Parameters
        ----------
        module
            A :class:`fl.models.classifier.TextClassifier` or
            :class:`fl.models.language.LanguageModel`, a method installed or not.
        """
        with ExitStack() as stack:
            if self.checkpointing or self.compiled:
                for block in blocks_of(module):
                    if self.compiled:
                        stack.enter_context(replaced_forward(block, _compile(block)))
                    if self.checkpointing:
                        stack.enter_context(replaced_forward(block, _checkpointed(block.forward)))
            if self.autocast is not None:
                whole = whole_of(module)
                device = next(module.parameters()).device.type
                cast = _autocast(whole.forward, device, DTYPES[self.autocast])
                stack.enter_context(replaced_forward(whole, cast))
            yield


AS_THEY_ARE = Passes()
"""Passes as the model defines them, in single precision."""


def blocks_of(module: nn.Module) -> list[nn.Module]:
    """Return the transformer blocks, first to last."""
    modules = dict(module.named_modules())
    return [modules[block.name] for block in transformer_blocks(module)]


def whole_of(module: nn.Module) -> nn.Module:
    """Return the model of transformers whose forward pass a module calls."""
    return module.causal if isinstance(module, LanguageModel) else module.get_submodule("encoder")


@contextmanager
def replaced_forward(module: nn.Module, forward: Forward) -> Iterator[None]:
    """Let another function be a module's forward pass, and put back what was there."""
    before = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward  # what its class defines is seen again
        else:
            module.forward = before


def _autocast(run: Forward, device: str, dtype: torch.dtype) -> Forward:
    def forward(*args: object, **inputs: object) -> Any:  # noqa: ANN401
        with torch.autocast(device, dtype=dtype):
            found = run(*args, **inputs)
        for name in ("last_hidden_state", "logits"):
            value = found.get(name)
            if value is not None:
                found[name] = value.float()
        return found

    return forward


def _checkpointed(run: Forward) -> Forward:
    def forward(*args: object, **inputs: Any) -> Any:  # noqa: ANN401
        if not torch.is_grad_enabled():
            return run(*args, **inputs)
        # a cache would take in the keys of the second pass as well
        inputs |= {name: None for name in _CACHES if name in inputs}
        inputs |= {"use_cache": False} if "use_cache" in inputs else {}
        return checkpoint(run, *args, use_reentrant=False, **inputs)

    return forward


def _compile(block: nn.Module) -> Forward:
    if block not in _compiled:
        # keeps the block's class alone: a bound method would keep the block for ever
        _compiled[block] = torch.compile(type(block).forward, dynamic=True)
    run = _compiled[block]

    def forward(*args: object, **inputs: object) -> Any:  # noqa: ANN401
        return run(block, *args, **inputs)

    return forward
