"""What a reward is: a number for each answer that was written to a prompt."""

import hashlib
from collections.abc import Callable, Sequence
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
    """The two rewards between which every client has its own preference."""

    helpfulness: Reward
    safety: Reward

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> dict[str, Float[np.ndarray, " text"]]:
        """Return the scores of both, by name."""
        return {
            "helpfulness": self.helpfulness.scores(prompts, responses),
            "safety": self.safety.scores(prompts, responses),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the scores of both."""
        both = f"{self.helpfulness.digest} {self.safety.digest}"
        return hashlib.sha256(both.encode()).hexdigest()

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights of both."""
        return self.helpfulness.memory_bytes + self.safety.memory_bytes

    def flop(self, *, num_texts: int, num_tokens: int) -> int:
        """Return the operations of scoring answers by both."""
        both = (self.helpfulness, self.safety)
        return sum(each.flop(num_texts=num_texts, num_tokens=num_tokens) for each in both)
