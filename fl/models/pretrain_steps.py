"""What the recipes of both shipped models share: first weights, and the steps of the optimiser."""

import logging
import time
from collections.abc import Callable, Mapping

import torch
from torch import nn

logger = logging.getLogger(__name__)

LOG_EVERY = 100
"""Steps between two lines of losses."""


def draw_weights(module: nn.Module, *, seed: int, std: float = 0.02) -> None:
    """Draw all weights anew as BERT and Llama do: matrices normal, biases 0, norms 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            weight, bias = getattr(part, "weight", None), getattr(part, "bias", None)
            if isinstance(weight, nn.Parameter):
                if weight.ndim == 1:
                    weight.fill_(1.0)
                else:
                    weight.normal_(0.0, std, generator=generator)
                if isinstance(bias, nn.Parameter):
                    bias.zero_()


def learning_rate_at(
    step: int, *, num_steps: int, learning_rate: float, warmup_fraction: float
) -> float:
    """Return the rate of a step (0 is the first): linear up, then linear down to 0."""
    warmup = max(1, round(num_steps * warmup_fraction))
    up = (step + 1) / warmup
    down = (num_steps - step) / max(1, num_steps - warmup)
    return learning_rate * min(up, down, 1.0)


def take_steps(
    module: nn.Module,
    losses_of_step: Callable[[], Mapping[str, torch.Tensor]],
    *,
    num_steps: int,
    learning_rate: float,
    warmup_fraction: float,
    weight_decay: float,
) -> None:
    """Train all weights of a module in place: AdamW on the sum of the losses, gradients clipped.

    Parameters
    ----------
    module
        What is trained.
    losses_of_step
        Draws the next batch and gives its losses by name; their means are logged.
    num_steps
        Steps of the optimiser.
    learning_rate
        Peak; see :func:`learning_rate_at`.
    warmup_fraction
        Part of the steps over which the rate rises.
    weight_decay
        Of AdamW, on every weight.
    """
    optimizer = torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=weight_decay)
    begun_s, sums, num_summed = time.monotonic(), dict[str, float](), 0
    for step in range(num_steps):
        losses = losses_of_step()
        rate = learning_rate_at(
            step,
            num_steps=num_steps,
            learning_rate=learning_rate,
            warmup_fraction=warmup_fraction,
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + loss.item()
        num_summed += 1
        if (step + 1) % LOG_EVERY == 0 or step + 1 == num_steps:
            means = ", ".join(f"{name} {value / num_summed:.3f}" for name, value in sums.items())
            logger.info("step %d: %s, %.0f s", step + 1, means, time.monotonic() - begun_s)
            sums, num_summed = {}, 0
