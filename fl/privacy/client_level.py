"""DP-FedAvg: changes are clipped, summed with noise, and divided by the number of clients drawn.

McMahan et al., arXiv:1710.06963, with equal weights and a fixed denominator. The server is trusted:
it sees what clients send, and noise protects what it makes of that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fl.methods.base import Contribution
from fl.payload import Tensors
from fl.privacy.client_changes import Add, change_of, moved, plain_sum
from fl.privacy.config import ClientPrivacy


@dataclass(frozen=True, slots=True, kw_only=True)
class Protected:
    """Updates whose mean is private, and what clipping met."""

    contributions: Sequence[Contribution]
    """Each has moved by the private mean change; all weigh 1."""
    median_norm: float
    """Of the changes, before they were clipped."""
    num_clipped: int


def protect(
    contributions: Sequence[Contribution],
    config: ClientPrivacy,
    *,
    num_drawn: float,
    rng: np.random.Generator,
    add: Add = plain_sum,
) -> Protected:
    """Replace every change by ``(sum_i clip(d_i) + N(0, (z C)^2)) / num_drawn``.

    Parameters
    ----------
    contributions
        Received updates, at least one; all of the same tensors, each with its base.
    config
        How changes are clipped and how much noise there is.
    num_drawn
        Clients that were drawn, received or not, or that are expected to be: a public number.
    rng
        Of the noise; read in the order of names.
    add
        Sums clipped changes.

    Raises
    ------
    ValueError
        If something is sent that is not a floating-point tensor with a base: it could not be
        clipped.
    """
    changes = [change_of(item, key="server.privacy") for item in contributions]
    norms = [_norm(each) for each in changes]
    factors = [min(1.0, config.clip_norm / norm) if norm > 0 else 1.0 for norm in norms]
    total = dict(
        add(
            [item.client_id for item in contributions],
            [
                {name: factor * value for name, value in change.items()}
                for change, factor in zip(changes, factors, strict=True)
            ],
        )
    )
    scale = config.noise_multiplier * config.clip_norm
    for name in sorted(total):
        shape, device = total[name].shape, total[name].device
        noise = torch.from_numpy(scale * rng.standard_normal(total[name].numel()))
        total[name] = (total[name] + noise.reshape(shape).to(device)) / num_drawn
    return Protected(
        contributions=[moved(item, total) for item in contributions],
        median_norm=float(np.median(norms)),
        num_clipped=sum(norm > config.clip_norm for norm in norms),
    )


def _norm(change: Tensors) -> float:
    return float(torch.sqrt(torch.stack([each.square().sum() for each in change.values()]).sum()))
