"""Dropout during the steps of a job; a model is in evaluation mode otherwise.

What is dropped is drawn from torch's global generator, which is seeded by the job: the same in any
process.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

FLOATS = ("attention_dropout", "attn_dropout")
"""Names of numbers by which attention layers drop weights, beside layers of their own."""


@contextmanager
def dropout_on(module: nn.Module, *, backbone: float) -> Iterator[None]:
    """Let dropout act for as long as this lasts.

    Parameters
    ----------
    module
        Model with a method installed, in evaluation mode.
    backbone
        Part that every dropout layer of the transformer drops; 0: none does. Adaptations drop what
        they were installed with.
    """
    before = [(part, part.training) for part in module.modules()]
    shares = [(part, name, getattr(part, name)) for part, name in dropout_places(module)]
    try:
        for part, _ in before:
            part.training = bool(getattr(part, "lora_dropout", 0.0))
        if backbone:
            of_backbone = {part for part, _, _ in shares}
            for part, name, _ in shares:
                setattr(part, name, backbone)
            for part in module.get_submodule("encoder").modules():
                # An attention asks itself whether it trains, not the layer that it drops with.
                if part in of_backbone or not of_backbone.isdisjoint(part.children()):
                    part.training = True
        yield
    finally:
        for part, name, share in shares:
            setattr(part, name, share)
        for part, was_training in before:
            part.training = was_training


def dropout_places(module: nn.Module) -> list[tuple[nn.Module, str]]:
    """Return the layers of a model's transformer that drop something, and the number's name."""
    found: list[tuple[nn.Module, str]] = []
    for part in module.get_submodule("encoder").modules():
        if isinstance(part, nn.Dropout):
            found.append((part, "p"))
        else:
            found += [(part, name) for name in FLOATS if isinstance(vars(part).get(name), float)]
    return found
