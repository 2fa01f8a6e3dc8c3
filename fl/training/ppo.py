"""Proximal policy optimisation with a value head: Schulman et al. 2017, arXiv:1707.06347.

Both papers named here are recollected. The reward of an answer is given at its last token, and the
divergence from the reference is taken off token by token, as in Ouyang et al. 2022,
arXiv:2203.02155. The value head is one layer on the last hidden states, which its loss does not
reach. It lives in the job alone: it starts at 0, is learned while the policy is, and is neither
sent nor kept. Advantages are not standardised, as rewards are.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import nn

from fl.models.language import LanguageModel
from fl.training.advantages import generalised
from fl.training.completions import Sampled, spread_out, token_log_probabilities
from fl.training.policy_loss import clipped, mean_over_texts
from fl.training.policy_settings import (
    DEFAULT_GAE_LAMBDA,
    DEFAULT_VALUE_LEARNING_RATE,
    PolicySettings,
)


class ValueHead(nn.Module):
    """Expected sum of the rewards to come, linear in a hidden state; 0 at the start."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(hidden_size))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, states: Float[torch.Tensor, "token hidden"]) -> Float[torch.Tensor, " token"]:
        """Return the value of each state.

        States are divided by the root of their width, so that a step of the optimiser changes
        values of narrow and wide models alike.
        """
        return states @ self.weight / math.sqrt(len(self.weight)) + self.bias


class ProximalUpdates:
    """Gives the loss of each update of a job; the value head is trained along."""

    def __init__(self, policy: PolicySettings) -> None:
        self._policy = policy
        self._head: ValueHead | None = None
        self._optimiser: torch.optim.Optimizer | None = None

    def __call__(self, module: LanguageModel, sampled: Sampled) -> Iterator[torch.Tensor]:
        """Give the loss of each update with the same answers, policy and value together."""
        policy, completions = self._policy, sampled.completions
        rows, steps = completions.is_written.nonzero(as_tuple=True)
        places = (rows, completions.columns[rows, steps])
        old = advantages = returns = None
        for _ in range(policy.num_epochs):
            scores, states = module.scores_and_states(
                completions.input_ids, completions.attention_mask, places
            )
            new = spread_out(
                token_log_probabilities(scores, completions, policy.temperature), completions
            )
            head, optimiser = self._ready(states)
            values = spread_out(head(states.detach()), completions)
            if old is None or advantages is None or returns is None:
                old = new.detach()
                advantages, returns = generalised(
                    self._rewards(sampled, old),
                    values.detach(),
                    completions.is_written,
                    gae_lambda=(
                        DEFAULT_GAE_LAMBDA if policy.gae_lambda is None else policy.gae_lambda
                    ),
                )
            surrogate = clipped(new - old, advantages, clip=policy.clip)
            errors = 0.5 * (values - returns).square()
            optimiser.zero_grad(set_to_none=True)
            # One sum, but no parameter is in both terms.
            yield mean_over_texts(surrogate + errors, completions.is_written)
            optimiser.step()

    def _rewards(
        self, sampled: Sampled, old: Float[torch.Tensor, "text step"]
    ) -> Float[torch.Tensor, "text step"]:
        """Return the reward of each token."""
        rewards = torch.zeros_like(old)
        if sampled.reference is not None:
            rewards -= self._policy.kl_weight * (old - sampled.reference)
        last = sampled.completions.is_written.sum(dim=1) - 1
        rewards[torch.arange(len(last), device=last.device), last] += sampled.rewards
        return rewards

    def _ready(self, states: torch.Tensor) -> tuple[ValueHead, torch.optim.Optimizer]:
        """Return the head and its optimiser, made for the width of the first states."""
        if self._head is None or self._optimiser is None:
            rate = self._policy.value_learning_rate
            self._head = ValueHead(states.shape[-1]).to(states.device)
            self._optimiser = torch.optim.Adam(
                self._head.parameters(), lr=DEFAULT_VALUE_LEARNING_RATE if rate is None else rate
            )
        return self._head, self._optimiser
