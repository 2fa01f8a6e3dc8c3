"""What is measured of a model, task by task; no torch here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Task = Literal["classification", "generation"]
"""Name the class of a text (or of a pair), or write the answer to a prompt."""

_MARKS = " .,;:!?\"'`"
WORST_FRACTION = 0.1
"""Part of the clients that ``worst10`` averages over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number that is a function of sums over texts."""

    task: Task
    is_lower_better: bool
    is_fraction: bool
    """Whether it lies in [0, 1]."""
    over: str
    """Name of the score that is summed."""
    per: str
    """Name of the score that it is divided by."""
    is_exponential: bool = False
    """Whether the exponential of the ratio is meant."""
    is_written: bool = False
    """Whether it is of what the model writes to a prompt, not of what it makes of given texts."""
    is_chosen: bool = False
    """Whether it is of what the model chooses among the answers of the data."""
    needs_rewards: bool = False
    """Whether the rewards of the scenario score it."""

    def value(self, sums: Mapping[str, float]) -> float:
        """Return the metric for texts whose scores add up to ``sums``."""
        ratio = sums[self.over] / sums[self.per]
        return float(np.exp(ratio)) if self.is_exponential else ratio


def _of_answers(
    over: str,
    *,
    is_lower_better: bool = False,
    is_fraction: bool = False,
    needs_rewards: bool = False,
) -> Metric:
    """Return a mean over the answers that a model writes."""
    return Metric(
        task="generation",
        is_lower_better=is_lower_better,
        is_fraction=is_fraction,
        over=over,
        per="written",
        is_written=True,
        needs_rewards=needs_rewards,
    )


METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        task="classification", is_lower_better=False, is_fraction=True, over="right", per="texts"
    ),
    "loss": Metric(
        task="generation", is_lower_better=True, is_fraction=False, over="nats", per="tokens"
    ),
    "perplexity": Metric(
        task="generation",
        is_lower_better=True,
        is_fraction=False,
        over="nats",
        per="tokens",
        is_exponential=True,
    ),
    "rouge_l": _of_answers("rouge_l", is_fraction=True),
    "exact_match": _of_answers("exact", is_fraction=True),
    "choice_accuracy": Metric(
        task="generation",
        is_lower_better=False,
        is_fraction=True,
        over="chosen_right",
        per="chosen",
        is_chosen=True,
    ),
    "helpfulness": _of_answers("helpfulness", needs_rewards=True),
    "safety": _of_answers("safety", needs_rewards=True),
    "reward": _of_answers("reward", needs_rewards=True),
    "independent_reward": _of_answers("independent", needs_rewards=True),
    "answer_tokens": _of_answers("answer_tokens"),
    "repetition": _of_answers("repetition", is_lower_better=True, is_fraction=True),
}
"""Metrics by name. ``loss`` [nat] and ``perplexity`` are those of a token of the answers;
``rouge_l`` is the F measure of the longest common subsequence of words between what the model
writes greedily and the answer, mean over texts; ``exact_match`` is the part of texts for which
both are the same (:func:`is_same_answer`). ``choice_accuracy`` is the part of texts whose true
answer has the lowest loss, mean over its tokens, of the distinct answers of the data, or of the
text's natural domain where the data has any. Of what the model writes, also: ``helpfulness`` and
``safety`` are the scores of the scenario's rewards, ``reward`` is their mean by each client's own
weight (of the global model: by the mean of all weights), ``independent_reward`` the score of one
from which nobody learns, ``answer_tokens`` is the length,
``repetition`` the share of pairs of words that were there before."""

DEFAULT_METRICS: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy",),
    "generation": ("loss", "perplexity"),
}
"""What is measured when nobody asks for more."""


def is_same_answer(written: str, true: str) -> bool:
    """Return whether two answers are the same but for case, blanks, and marks at their ends.

    Examples
    --------
    >>> is_same_answer("The  answer.", "the answer"), is_same_answer("-5", "5")
    (True, False)
    """
    plain = [" ".join(text.casefold().split()).strip(_MARKS) for text in (written, true)]
    return plain[0] == plain[1]


def over_clients(
    values: Float[np.ndarray, " client"], *, is_lower_better: bool
) -> tuple[float, float, float]:
    """Return mean, standard deviation (population) and mean of the worst 10 % of clients.

    At least one client counts as worst.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if is_lower_better:
        ordered = ordered[::-1]
    num_worst = max(1, int(np.ceil(WORST_FRACTION * len(ordered) - 1e-9)))
    return float(ordered.mean()), float(ordered.std()), float(ordered[:num_worst].mean())
