"""What becomes of an update before the method averages it; pure functions of state and update.

Each returns an update that began from the server's present tensors, so that the method's weighted
mean, and its server optimiser after it, give the rule that the function is named after.
"""

from collections.abc import Callable
from dataclasses import replace

import torch

from fl.methods.base import Contribution, ServerState
from fl.payload import Payload, Tensors
from fl.server.staleness import Discount, discount_factor

MergeRule = Callable[[ServerState, Contribution], Contribution]
"""From the state before an aggregation and an update to the update that is averaged."""


def rebased(state: ServerState, contribution: Contribution) -> Contribution:
    """Return an update moved to the server's present tensors: ``x + (x_k - x_base)``.

    One that is not stale is returned as it is. Arithmetic runs in float64 and is rounded once.
    """
    if contribution.staleness == 0:
        return contribution
    return _moved(state, contribution, base=contribution.base, step=1.0)


def discounted(
    state: ServerState, contribution: Contribution, *, discount: Discount
) -> Contribution:
    """Return a rebased update whose weight is multiplied by ``s(tau)``.

    Their mean is ``x + sum_k p_k (x_k - x_base,k)`` with ``p_k = n_k s_k / sum_j n_j s_j``: the
    weights sum to 1 whatever the staleness, so a step does not shrink with it.
    """
    factor = discount_factor(discount, contribution.staleness)
    return replace(rebased(state, contribution), weight=contribution.weight * factor)


def _moved(
    state: ServerState, contribution: Contribution, *, base: Tensors, step: float
) -> Contribution:
    """Return an update of the present tensors: ``x + step (x_k - base)``."""
    present = {name: state.tensors[name] for name in contribution.payload.tensors}
    moved = {}
    for name, value in contribution.payload.tensors.items():
        change = value.to(torch.float64) - base[name].to(torch.float64)
        moved[name] = (present[name].to(torch.float64) + step * change).to(value.dtype)
    return replace(contribution, payload=Payload(moved), base=present)
