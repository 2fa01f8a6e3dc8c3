"""Low-rank updates that are merged into the weights, stack by stack, by server and clients alike.

A *stack* is what one aggregation adds to the dense update ``M`` of every layer, as two factors of
some rank. Server and clients add the same stacks in order of version in float64, rounded once a
stack, so they hold the same bits. A client that was away is sent the stacks that it lacks, or
``M`` itself where the server keeps them no longer: it keeps the latest that are together no larger
than ``M`` [our choice].
"""

from collections.abc import Collection, Sequence

import torch

from fl.methods.low_rank import add_product
from fl.payload import Tensors
from fl.peft.merged_lora import MERGED

STACK_A, STACK_B = ".stack_A.", ".stack_B."
"""Between a layer's name and the version that a stack led to, in the names of its two factors."""


def stacks_by_version(tensors: Tensors) -> dict[int, list[str]]:
    """Name the factors of every stack among some tensors, by the version that it led to."""
    found: dict[int, list[str]] = {}
    for name in sorted(tensors):
        if STACK_A in name or STACK_B in name:
            found.setdefault(int(name.rpartition(".")[2]), []).append(name)
    return found


def lacking(tensors: Tensors, *, held: int, version: int) -> Collection[str]:
    """Name what brings a client from one version to another: stacks, or the dense updates.

    Parameters
    ----------
    tensors
        The server's: dense updates, and the stacks that it keeps.
    held
        Version that the client has; 0 is a dense update of zeros.
    version
        The server's.
    """
    kept, needed = stacks_by_version(tensors), range(held + 1, version + 1)
    if all(each in kept for each in needed):
        return [name for each in needed for name in kept[each]]
    return [name for name in tensors if name.endswith(MERGED)]


def merge(
    before: Tensors, received: Tensors, *, layers: Sequence[str], scale: float
) -> dict[str, torch.Tensor]:
    """Return the dense update of each layer, from what stood before and what came.

    Parameters
    ----------
    before
        Dense updates as they were, one a layer.
    received
        Stacks, each of them on all layers, and dense updates that take the place of those before.
    layers
        Names of the adapted layers.
    scale
        What every product is multiplied by.
    """
    versions = sorted(stacks_by_version(received))
    merged = {}
    for layer in layers:
        value = received.get(layer + MERGED, before[layer + MERGED])
        for version in versions:
            value = add_product(
                value,
                rows=received[f"{layer}{STACK_A}{version}"],
                columns=received[f"{layer}{STACK_B}{version}"],
                scale=scale,
            )
        merged[layer + MERGED] = value
    return merged


def latest(tensors: Tensors, *, num_dense: int) -> dict[str, torch.Tensor]:
    """Return the latest stacks that are together no larger than the dense updates.

    Parameters
    ----------
    tensors
        Stacks, and other tensors.
    num_dense
        Numbers in the dense updates of all layers.
    """
    stacks = stacks_by_version(tensors)
    left = num_dense
    names: list[str] = []
    for version in sorted(stacks, reverse=True):
        left -= sum(tensors[name].numel() for name in stacks[version])
        if left < 0:
            break
        names += stacks[version]
    return {name: tensors[name] for name in sorted(names)}
