"""Rewards that need no model: what an answer is scored for can be read from its text."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from fl.rewards.config import RuleReward

PRIVATE_NAME = re.compile(r"(?<!\w)_[A-Za-z]\w*")
"""A name with one underscore in front, as Python marks what is not for others: ``_fetch`` and
``self._fetch``, not ``__init__``."""
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class RuleScores:
    """Score answers by one rule; see :class:`fl.rewards.config.RuleReward` for what each does."""

    config: RuleReward

    @property
    def digest(self) -> str:
        """SHA-256 of the settings and of this code."""
        settings = json.dumps(asdict(self.config)).encode()
        return hashlib.sha256(settings + Path(__file__).read_bytes()).hexdigest()

    @property
    def memory_bytes(self) -> int:
        """Bytes of weights: 0."""
        return 0

    def flop(self, *, num_texts: int, num_tokens: int) -> int:
        """Return the operations of scoring: 0."""
        del num_texts, num_tokens
        return 0

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> Float[np.ndarray, " text"]:
        """Return the score of each answer, in [0, 1]; 1 is best."""
        return np.array(
            [self._score(*pair) for pair in zip(prompts, responses, strict=True)], dtype=np.float64
        )

    def _score(self, prompt: str, response: str) -> float:
        match self.config.rule:
            case "length":
                return length_score(response, num_words=self.config.num_words or 1)
            case "no_private_names":
                return 1.0 / (1 + len(PRIVATE_NAME.findall(response)))
            case "no_repetition":
                return distinct_part(response, ngram=self.config.ngram or 3)
            case "prompt_words":
                return shared_words(prompt, response)
            case "format":
                return float(
                    re.fullmatch(self.config.pattern or "", response, re.DOTALL) is not None
                )


def length_score(response: str, *, num_words: int) -> float:
    """Return 1 less the relative error of the number of words, at least 0.

    Examples
    --------
    >>> length_score("one two three", num_words=4)
    0.75
    """
    return max(0.0, 1.0 - abs(len(response.split()) - num_words) / num_words)


def distinct_part(response: str, *, ngram: int) -> float:
    """Return how many of the runs of so many words are distinct; shorter answers are one run.

    Examples
    --------
    >>> distinct_part("the sum of the sum", ngram=1)
    0.6
    """
    words = response.lower().split()
    if not words:
        return 0.0
    runs = [tuple(words[at : at + ngram]) for at in range(max(1, len(words) - ngram + 1))]
    return len(set(runs)) / len(runs)


def shared_words(prompt: str, response: str) -> float:
    """Return the part of the prompt's distinct words that the answer has; names split at ``_``.

    Examples
    --------
    >>> shared_words("mean_of(values, axis)", "Mean of all values.")
    0.75
    """
    wanted = set(_WORD.findall(prompt.lower().replace("_", " ")))
    found = set(_WORD.findall(response.lower().replace("_", " ")))
    return len(wanted & found) / len(wanted) if wanted else 0.0
