"""What is noted during a pass of the encoder: the mask of its texts, the mean input of a layer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from fl.peft.lora_experts import LoraExpertsLinear


def watch_passes(
    module: nn.Module, layers: Mapping[str, LoraExpertsLinear], *, mask_padding: bool
) -> None:
    """Let the experts see, during each pass of the encoder, which tokens are text.

    A pass first drops what the last one left for the penalty: while any of its graph is alive,
    torch takes no parameter of another shape.
    """

    def begin(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        token_shape = tuple(args[0].shape if args else kwargs["input_ids"].shape)
        for layer in layers.values():
            layer.experts.token_shape = token_shape
            layer.experts.balance = None
            layer.experts.mask = kwargs["attention_mask"] if mask_padding else None

    def end(_: nn.Module, args: tuple[Any, ...], result: Any) -> None:  # noqa: ANN401
        for layer in layers.values():
            layer.experts.token_shape = layer.experts.mask = None

    encoder = module.get_submodule("encoder")
    encoder.register_forward_pre_hook(begin, with_kwargs=True)
    encoder.register_forward_hook(end, always_call=True)


class Mean:
    """A mean of vectors that grows."""

    def __init__(self) -> None:
        self._total: torch.Tensor | float = 0.0
        self._count = 0.0

    def add(self, vectors: torch.Tensor, mask: torch.Tensor | None) -> None:
        """Take vectors, those of mask 0 left out; the last dimension is theirs."""
        weights = torch.ones(vectors.shape[:-1]) if mask is None else mask
        weights = weights.cpu().to(torch.float64).flatten()
        self._total = self._total + weights @ vectors.cpu().to(torch.float64).flatten(0, -2)
        self._count += float(weights.sum())

    @property
    def value(self) -> torch.Tensor:
        """The mean, float64."""
        return torch.as_tensor(self._total) / self._count


@contextmanager
def mean_inputs(layers: Mapping[str, LoraExpertsLinear]) -> Iterator[Mapping[str, Mean]]:
    """Average what comes into each layer over all tokens, for as long as the context lasts."""
    means = {name: Mean() for name in layers}

    def hook(name: str) -> Any:  # noqa: ANN401 -- a hook of torch
        def note(layer: LoraExpertsLinear, args: tuple[torch.Tensor, ...]) -> None:
            if layer.experts.is_text(args[0]):
                means[name].add(args[0], layer.experts.mask)

        return note

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield means
    finally:
        for handle in handles:
            handle.remove()
