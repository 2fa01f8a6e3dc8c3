"""Changes of clients as numbers to clip and sum, and updates that moved by a mean."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from fl.methods.base import Contribution
from fl.payload import Payload, Tensors

Add = Callable[[Sequence[int], Sequence[Tensors]], Tensors]
"""From clients and their changes, in double precision, to the sum of the changes."""


def change_of(item: Contribution, *, key: str) -> Tensors:
    """Return what a client has changed, in double precision, in order of name.

    Raises
    ------
    ValueError
        If something is sent that is not a floating-point tensor with a base; ``key`` names the
        setting that needs one.
    """
    found = {}
    for name, value in sorted(item.payload.tensors.items()):
        if not value.is_floating_point() or name not in item.base:
            msg = f"{key}: {name} is sent and is no change of a tensor that could be summed"
            raise ValueError(msg)
        found[name] = value.to(torch.float64) - item.base[name].to(torch.float64)
    return found


def plain_sum(client_ids: Sequence[int], changes: Sequence[Tensors]) -> Tensors:
    """Add changes up in the order given."""
    del client_ids
    total: dict[str, torch.Tensor] = {}
    for change in changes:
        for name, value in change.items():
            total[name] = total[name] + value if name in total else value
    return total


def moved(item: Contribution, mean: Tensors) -> Contribution:
    """Return an update that has moved by a mean change and counts as much as any other."""
    tensors = {
        name: (item.base[name].to(torch.float64) + mean[name]).to(value.dtype)
        for name, value in item.payload.tensors.items()
    }
    return replace(item, payload=Payload(tensors), weight=1.0)
