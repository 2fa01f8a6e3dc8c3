"""What a reward is: a number for each answer that was written to a prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Float


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
