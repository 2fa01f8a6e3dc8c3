"""How much better an answer is than expected, from the rewards of answers to the same prompt."""

import torch
from jaxtyping import Bool, Float

LEAST_STD = 1e-4
"""Added to the standard deviation of a group, as in trl: equal rewards make no advantage."""


def standardised_by_group(
    rewards: Float[torch.Tensor, " text"], *, group_size: int
) -> Float[torch.Tensor, " text"]:
    """Return the distance of each reward from its group's mean, in standard deviations of it.

    Shao et al. 2024, arXiv:2402.03300, section 4.1.2 [recollected]; the standard deviation is
    that of a sample (divisor ``group_size - 1``), as in trl. Equal rewards give exactly 0.

    Parameters
    ----------
    rewards
        Answers to the same prompt follow one another.
    group_size
        Answers a prompt, at least 2.
    """
    groups = _groups(rewards, group_size)
    distances = groups - groups.mean(dim=1, keepdim=True)
    distances[(groups == groups[:, :1]).all(dim=1)] = 0.0  # not what the mean was rounded by
    return (distances / (groups.std(dim=1, keepdim=True) + LEAST_STD)).flatten()


def leave_one_out(
    rewards: Float[torch.Tensor, " text"], *, group_size: int
) -> Float[torch.Tensor, " text"]:
    """Return what each reward is above the mean of the others of its group.

    Ahmadian et al. 2024, arXiv:2402.14740, equation 7 [recollected]. Arguments as
    :func:`standardised_by_group`.
    """
    groups = _groups(rewards, group_size)
    others = (groups.sum(dim=1, keepdim=True) - groups) / (group_size - 1)
    advantages = groups - others
    advantages[(groups == groups[:, :1]).all(dim=1)] = 0.0
    return advantages.flatten()


def generalised(
    rewards: Float[torch.Tensor, "text step"],
    values: Float[torch.Tensor, "text step"],
    is_written: Bool[torch.Tensor, "text step"],
    *,
    gae_lambda: float,
) -> tuple[Float[torch.Tensor, "text step"], Float[torch.Tensor, "text step"]]:
    """Return generalised advantages, and the returns that values should have been.

    Schulman et al. 2016, arXiv:1506.02438, equation 16 [recollected], undiscounted, as texts end:
    ``A_t = sum_k gae_lambda^k (r_{t+k} + V_{t+k+1} - V_{t+k})``, with ``V = 0`` after the end.

    Parameters
    ----------
    rewards
        Reward of each written token.
    values
        Expected sum of the rewards from each token on, before it is written.
    is_written
        Which tokens there are: the first ones of each text.
    gae_lambda
        In [0, 1].

    Returns
    -------
    advantages, returns
        0 where nothing is written.
    """
    there = is_written.to(values.dtype)
    values, rewards = values * there, rewards * there
    after = torch.cat([values[:, 1:], torch.zeros_like(values[:, :1])], dim=1)
    surprises = rewards + after - values
    advantages = torch.zeros_like(values)
    last = torch.zeros_like(values[:, 0])
    for step in reversed(range(values.shape[1])):
        last = (surprises[:, step] + gae_lambda * last) * there[:, step]
        advantages[:, step] = last
    return advantages, advantages + values


def _groups(rewards: torch.Tensor, group_size: int) -> Float[torch.Tensor, "group text"]:
    if group_size < 2 or len(rewards) % group_size:
        msg = (
            "group_size: must be at least 2 and divide the number of rewards "
            f"({len(rewards)}), got {group_size}"
        )
        raise ValueError(msg)
    return rewards.view(-1, group_size)
