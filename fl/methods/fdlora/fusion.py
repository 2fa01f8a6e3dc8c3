"""Fusion of a shared and a personal LoRA, and the search for its two weights."""

from collections.abc import Callable

import torch

from fl.methods.low_rank import A, B, lora_layers
from fl.payload import Tensors

BOUND = 1.5
"""Largest absolute fusion weight."""
FIRST_STEP = 0.5
"""First step of the search along each weight [our choice]."""

Pair = tuple[float, float]


def fused(shared: Tensors, own: Tensors, *, weights: Pair) -> dict[str, torch.Tensor]:
    """Return factors whose product is ``w_1 B_1 A_1 + w_2 B_2 A_2``, of the sum of the ranks.

    Parameters
    ----------
    shared, own
        Factors of the same layers; what else is in ``shared`` is given as it is.
    weights
        ``w_1`` of ``shared`` and ``w_2`` of ``own``; they stand on ``B`` alone.
    """
    both = dict(shared)
    for layer in lora_layers(own):
        both[layer + A] = torch.cat([shared[layer + A], own[layer + A]])
        first, second = weights
        columns = [first * shared[layer + B], second * own[layer + B]]
        both[layer + B] = torch.cat(columns, dim=1)
    return both


def compass_search(
    objective: Callable[[Pair], float], *, start: Pair, num_evaluations: int
) -> Pair:
    """Return the best pair found by a compass search within ``[-1.5, 1.5]^2``.

    Evaluates the start, then its four neighbours one step away; moves to the best of them if it is
    better, else halves the step; and so on until the evaluations are spent (Kolda, Lewis, Torczon,
    Optimization by Direct Search, SIAM Review 45(3), 2003 [recollected]). Nothing is drawn. Of
    equals the first stays.

    Parameters
    ----------
    objective
        What is to be small.
    start
        First pair, within the bounds.
    num_evaluations
        Exact number of evaluations, at least 1.
    """
    best, lowest = start, objective(start)
    step, left = FIRST_STEP, num_evaluations - 1
    while left > 0:
        centre = best
        for first, second in ((step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step))[:left]:
            pair = (_bounded(centre[0] + first), _bounded(centre[1] + second))
            value = objective(pair)
            left -= 1
            if value < lowest:
                best, lowest = pair, value
        if best == centre:
            step /= 2
    return best


def _bounded(weight: float) -> float:
    return max(-BOUND, min(BOUND, weight))
