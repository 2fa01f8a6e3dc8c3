"""Fusion of a shared and a personal LoRA, and the search for its two weights.

Factors are fused, not products: ``A = w_1 A_1 + w_2 A_2`` and ``B`` likewise, whose product has the
cross terms ``w_1 w_2 (B_1 A_2 + B_2 A_1)``.
"""

from collections.abc import Callable

import torch

from fl.payload import Tensors

BOUND = 1.5
"""Largest absolute fusion weight."""
FIRST_STEP = 0.5
"""First step of the search along each weight [our choice]: after two of them both adaptations are
at their mean."""

Pair = tuple[float, float]


def fused(shared: Tensors, own: Tensors, *, weights: Pair) -> dict[str, torch.Tensor]:
    """Return the weighted sum of like-named factors, of the same rank.

    Parameters
    ----------
    shared, own
        Factors of the same layers; what else is in ``shared`` is given as it is.
    weights
        ``w_1`` of ``shared`` and ``w_2`` of ``own``.
    """
    both = dict(shared)
    first, second = weights
    for name, factor in own.items():
        both[name] = first * shared[name] + second * factor
    return both


def coordinate_search(objective: Callable[[Pair], float], *, num_evaluations: int) -> Pair:
    """Return the best pair found by a coordinate search within ``[-1.5, 1.5]^2``, from (0, 0).

    Weight by weight, a step up is tried, and where that is no better a step down; the step is
    halved after a turn in which neither weight found anything better [our choice; Kolda, Lewis,
    Torczon, Optimization by Direct Search, SIAM Review 45(3), 2003 [recollected]]. Nothing is
    drawn. Of equals the first stays.

    Parameters
    ----------
    objective
        What is to be small.
    num_evaluations
        Exact number of evaluations, at least 1.
    """
    best: Pair = (0.0, 0.0)
    lowest = objective(best)
    step, left = FIRST_STEP, num_evaluations - 1
    while left > 0:
        before = best
        for along in ((1.0, 0.0), (0.0, 1.0)):
            for sign in (step, -step)[:left]:
                pair = (_bounded(best[0] + sign * along[0]), _bounded(best[1] + sign * along[1]))
                value = objective(pair)
                left -= 1
                if value < lowest:
                    best, lowest = pair, value
                    break
        if best == before:
            step /= 2
    return best


def _bounded(weight: float) -> float:
    return max(-BOUND, min(BOUND, weight))
