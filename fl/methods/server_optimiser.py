"""How the server moves its tensors by the mean change of its clients; pure functions.

Plain averaging: McMahan et al., arXiv:1602.05629. Momentum (FedAvgM): Hsu et al.,
arXiv:1909.06335. Adam, Yogi and Adagrad (FedAdam, FedYogi, FedAdagrad): Reddi et al., Adaptive
Federated Optimization, arXiv:2003.00295, algorithm 2, without bias correction, the second moment
starting at ``tau^2`` [all recollected].
"""

import torch

from fl.methods.options import FedAdagrad, FedAdam, FedAvgM, FedYogi
from fl.payload import Tensors

FIRST, SECOND = "first:", "second:"
"""Prefixes of the names of moments in the server's memory."""
Adaptive = FedAdam | FedYogi | FedAdagrad
"""Rules that divide each number's step by the root of its second moment."""


def server_step(
    config: FedAvgM | Adaptive,
    *,
    before: Tensors,
    base: Tensors,
    mean: Tensors,
    memory: Tensors,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the server's tensors after one step, and what it remembers.

    Arithmetic runs in float64 and is rounded to the type of the tensor once.

    Parameters
    ----------
    config
        Which rule.
    before
        Tensors before the step; at least those named in ``mean``.
    base
        Weighted mean of what the clients began from: ``before`` where none is stale.
    mean
        Weighted mean of what they sent, with the same names.
    memory
        Moments by prefixed name; those that are missing are as before the first step.

    Returns
    -------
    moved, memory
        New values of the tensors in ``mean``; all moments, those of other tensors unchanged.
    """
    moved, remembered = {}, dict(memory)
    for name in sorted(mean):
        start = before[name].to(torch.float64)
        change = mean[name].to(torch.float64) - base[name].to(torch.float64)
        first = memory.get(FIRST + name, torch.zeros_like(change))
        if isinstance(config, FedAvgM):
            is_mean = config.form == "averaged"
            first = config.momentum * first + (1 - config.momentum if is_mean else 1.0) * change
            ahead = change + config.momentum * first if config.form == "nesterov" else first
            step = config.learning_rate * ahead
        else:
            start_of_second = change.new_full((), config.tau**2)
            step, first, second = _adaptive(
                config, change, first=first, second=memory.get(SECOND + name, start_of_second)
            )
            remembered[SECOND + name] = second
        remembered[FIRST + name] = first
        moved[name] = (start + step).to(mean[name].dtype)
    return moved, remembered


def _adaptive(
    config: Adaptive, change: torch.Tensor, *, first: torch.Tensor, second: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the step, and both moments after it."""
    square = change.square()
    first = config.beta1 * first + (1 - config.beta1) * change
    if isinstance(config, FedAdam):
        second = config.beta2 * second + (1 - config.beta2) * square
    elif isinstance(config, FedYogi):
        second = second - (1 - config.beta2) * square * torch.sign(second - square)
    else:
        second = second + square
    return config.learning_rate * first / (second.sqrt() + config.tau), first, second
