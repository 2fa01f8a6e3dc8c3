"""What a reward is: a number for each answer that was written to a prompt."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float

HelpfulnessOf = Callable[[int], float]
"""Weight of helpfulness of a client, in [0, 1], by its id; safety has the rest."""


def equal_weights(_: int) -> float:
    """Return the weight of a client to whom both rewards are worth the same."""
    return 0.5


class Reward(Protocol):
    """Scores answers; frozen, and the same for all clients."""

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the scores."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of its weights; 0 for a rule."""

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> Float[np.ndarray, " text"]:
        """Return the score of each answer, higher is better."""

    def flop(self, *, num_texts: int, num_tokens: int) -> int:
        """Return the operations of scoring answers, each of so many tokens with its prompt."""


@dataclass(frozen=True, kw_only=True)
class Rewards:
    """The two rewards between which every client has its own preference, and who checks them."""

    helpfulness: Reward
    safety: Reward
    independent: Reward | None = None
    """Scores what is evaluated, and nothing that is learnt from."""

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> dict[str, Float[np.ndarray, " text"]]:
        """Return the scores that are learnt from, by name."""
        return {
            "helpfulness": self.helpfulness.scores(prompts, responses),
            "safety": self.safety.scores(prompts, responses),
        }

    def all_scores(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> dict[str, Float[np.ndarray, " text"]]:
        """Return all scores, by name."""
        found = self.scores(prompts, responses)
        if self.independent is not None:
            found["independent"] = self.independent.scores(prompts, responses)
        return found

    @property
    def named(self) -> Mapping[str, Reward]:
        """All rewards that there are, by name."""
        found = {"helpfulness": self.helpfulness, "safety": self.safety}
        if self.independent is not None:
            found["independent"] = self.independent
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the scores."""
        each = " ".join(reward.digest for reward in self.named.values())
        return hashlib.sha256(each.encode()).hexdigest()

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights of the two that clients hold."""
        return self.helpfulness.memory_bytes + self.safety.memory_bytes

    def flop(self, *, num_texts: int, num_tokens: int) -> int:
        """Return the operations of scoring answers by the two that are learnt from."""
        both = (self.helpfulness, self.safety)
        return sum(each.flop(num_texts=num_texts, num_tokens=num_tokens) for each in both)
