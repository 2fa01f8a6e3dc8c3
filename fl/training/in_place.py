"""A client's tensors in the place of those of a module, while something is counted on it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from fl.payload import Tensors

Kind = tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]
"""What is trained, and the shapes that matter."""


def kind_of(trainable: Sequence[str], tensors: Tensors) -> Kind:
    """Name everything but the batch that operations depend on."""
    return tuple(trainable), tuple([tensors[name].shape for name in sorted(tensors)])


@contextmanager
def in_place(module: nn.Module, tensors: Tensors) -> Iterator[None]:
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
