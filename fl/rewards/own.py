"""A reward of the user's own: a class in a file, named ``path.py:Class``."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from fl.own_code import OwnClass, load_class
from fl.problems import OwnCodeError, one_line
from fl.rewards.config import OwnReward


class Scorer(Protocol):
    """What the class in the user's file offers.

    It may also have ``memory_bytes``, and ``flop(*, num_texts, num_tokens)``; without, scoring
    costs nothing.
    """

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> Float[np.ndarray, " text"]:
        """Return the score of each answer, higher is better."""


@dataclass(frozen=True)
class OwnScores:
    """Ask an object of the user's class; its faults are told with their place."""

    own: OwnClass
    made: Any
    key: str
    """Key of the scenario with which messages begin."""
    settings: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the file, the class and its settings."""
        told = [self.own.digest, self.own.cls.__name__, self.settings]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @property
    def memory_bytes(self) -> int:
        """Bytes of its weights, as the class says; 0 where it does not."""
        with self.own.blame("memory_bytes", self.made):
            value = getattr(self.made, "memory_bytes", 0)
        return self._count("memory_bytes", value)

    def flop(self, *, num_texts: int, num_tokens: int) -> int:
        """Return the operations of scoring, as the class says; 0 where it does not."""
        with self.own.blame("flop", self.made):
            if not hasattr(self.made, "flop"):
                return 0
            value = self.made.flop(num_texts=num_texts, num_tokens=num_tokens)
        return self._count("flop", value)

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> Float[np.ndarray, " text"]:
        """Return what the user's class says, as it says it.

        The global generators are seeded for it, always alike.

        Raises
        ------
        fl.problems.OwnCodeError
            One line: what the class raises, or what is wrong with its answer.
        """
        from fl.global_generators import seeded_generators  # noqa: PLC0415  torch, where one runs

        hook = "scores"
        try:
            with seeded_generators(0), self.own.blame(hook, self.made):
                answer = self.made.scores(list(prompts), list(responses))
                found = np.asarray(answer, dtype=np.float64)
            rule = _find_fault(answer, found, responses)
            if rule is not None:
                raise self.own.fault(hook, rule, self.made)
        except OwnCodeError as error:
            msg = f"{self.key}: {error}"
            raise OwnCodeError(msg) from error
        return found

    def _count(self, part: str, value: object) -> int:
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0:
            fault = self.own.fault(part, f"must be a whole number from 0 on, got {value!r}")
            msg = f"{self.key}: {fault}"
            raise OwnCodeError(msg)
        return int(value)


def _find_fault(
    answer: object, found: Float[np.ndarray, "..."], responses: Sequence[str]
) -> str | None:
    """Return what is wrong with scores: there must be as many as answers, all finite."""
    if found.shape != (len(responses),):
        shape = f"shape {found.shape}" if found.ndim else one_line(repr(answer), 60)
        return f"must give one number for each of {len(responses)} answers, got {shape}"
    if not np.isfinite(found).all():
        at = int(np.flatnonzero(~np.isfinite(found))[0])
        return f"must be finite, got {found[at]} for {one_line(repr(responses[at]), 80)}"
    return None


def own_reward(config: OwnReward, *, key: str) -> OwnScores:
    """Load a user's class and make its object.

    Parameters
    ----------
    config
        File, class and settings.
    key
        Key of the scenario, with which messages begin: ``rewards.safety``.

    Raises
    ------
    fl.problems.OwnCodeError
        One line: a file or class that cannot be used, or an unknown or missing setting.
    """
    own = load_class(config.kind, key=key, protocol=Scorer)
    made = own.make(config.settings, key=key, protocol=Scorer)
    return OwnScores(own, made, key, dict(config.settings))
