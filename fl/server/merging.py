"""What becomes of an update before the method averages it; pure functions of state and update.

Each returns an update that began from the server's present tensors, so that the method's weighted
mean, and its server optimiser after it, give the rule that the function is named after.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

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


def mixed(
    state: ServerState,
    contribution: Contribution,
    *,
    alpha: float,
    discount: Discount,
    of: Literal["model", "change"],
) -> Contribution:
    """Return an update mixed into the present tensors, as FedAsync does with one at a time.

    ``(1 - a) x + a x_k`` of the client's model, or ``x + a (x_k - x_base)`` of its change, with
    ``a = alpha s(tau)``. Xie et al., arXiv:1903.03934, is the former.
    """
    step = alpha * discount_factor(discount, contribution.staleness)
    present = {name: state.tensors[name] for name in contribution.payload.tensors}
    base = present if of == "model" else contribution.base
    return _moved(state, contribution, base=base, step=step)


def buffered(
    state: ServerState,
    contribution: Contribution,
    *,
    server_learning_rate: float,
    discount: Discount,
    normalise: Literal["count", "weights"],
) -> Contribution:
    """Return an update as one of the ``K`` of a buffer; all count alike, whatever their texts.

    Their mean is ``x + eta / K sum_i s_i d_i`` (``count``) or ``x + eta sum_i s_i d_i / sum_i s_i``
    (``weights``), with ``d_i = x_i - x_base,i`` and ``s_i = s(tau_i)``. FedBuff, Nguyen et al.,
    arXiv:2106.06639, is the former.
    """
    factor = discount_factor(discount, contribution.staleness)
    is_count = normalise == "count"
    step = server_learning_rate * (factor if is_count else 1.0)
    moved = _moved(state, contribution, base=contribution.base, step=step)
    return replace(moved, weight=1.0 if is_count else factor)


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
