"""What an update with sampled answers minimises.

All of it is written in the log-probabilities of tokens, shape ``(text, step)``: ``new`` of the
model that is trained, ``old`` of the model that wrote the answers, ``reference`` of the model that
it should stay near. Where a text has no token, log-probabilities are 0.
"""

import torch
from jaxtyping import Bool, Float

Tokens = Float[torch.Tensor, "text step"]


def divergence(new: Tokens, reference: Tokens) -> Tokens:
    """Return an estimate of the divergence from the reference at each token, never below 0.

    ``exp(d) - d - 1`` with ``d = reference - new``: unbiased and of low variance (Schulman,
    Approximating KL Divergence, 2020, estimator k3), as in GRPO. Its own gradient is that of the
    divergence in the other direction; weighted with the ratio of probabilities, as
    :func:`grpo_loss` does, its gradient is unbiased as well.
    """
    distance = reference - new
    return torch.exp(distance) - distance - 1


def grpo_loss(
    new: Tokens,
    *,
    old: Tokens,
    reference: Tokens | None,
    advantages: Float[torch.Tensor, " text"],
    is_written: Bool[torch.Tensor, "text step"],
    clip: float,
    kl_weight: float,
) -> Float[torch.Tensor, ""]:
    """Return the loss of GRPO: mean over the tokens of a text, then over texts.

    Shao et al. 2024, arXiv:2402.03300, equation 3 [recollected], with the divergence weighted
    with the ratio of probabilities, as trl does.

    Parameters
    ----------
    new, old, reference
        Log-probabilities; without a reference there is no divergence.
    advantages
        Of each answer as a whole.
    is_written
        Which tokens count.
    clip
        Furthest that a ratio of probabilities counts from 1.
    kl_weight
        Weight of the divergence.
    """
    loss = clipped(new - old, advantages[:, None], clip=clip)
    if reference is not None:
        loss = loss + kl_weight * torch.exp(new - old) * divergence(new, reference)
    return mean_over_texts(loss, is_written)


def rloo_loss(
    new: Tokens, *, old: Tokens, advantages: Float[torch.Tensor, " text"], clip: float
) -> Float[torch.Tensor, ""]:
    """Return the loss of RLOO: the ratio of probabilities is that of a whole answer.

    Ahmadian et al. 2024, arXiv:2402.14740 [recollected], with the clipped ratio of trl.
    """
    return clipped((new - old).sum(dim=1), advantages, clip=clip).mean()


def clipped(log_ratio: torch.Tensor, advantages: torch.Tensor, *, clip: float) -> torch.Tensor:
    """Return minus the clipped surrogate of PPO (arXiv:1707.06347, equation 7 [recollected])."""
    ratio = torch.exp(log_ratio)
    near = torch.clamp(ratio, 1 - clip, 1 + clip)
    return -torch.minimum(ratio * advantages, near * advantages)


def mean_over_texts(
    of_tokens: Tokens, is_written: Bool[torch.Tensor, "text step"]
) -> Float[torch.Tensor, ""]:
    """Return the mean over texts of the mean over each text's tokens."""
    there = is_written.to(of_tokens.dtype)
    return ((of_tokens * there).sum(dim=1) / there.sum(dim=1)).mean()
