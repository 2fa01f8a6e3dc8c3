"""Settings of policy optimisation; no torch here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

DEFAULT_GAE_LAMBDA = 0.95
"""Of ``ppo`` where none is given: Schulman et al. 2017, arXiv:1707.06347, table 3 [recollected]."""
DEFAULT_VALUE_LEARNING_RATE = 1e-2
"""Of ``ppo`` where none is given [our choice: the value head is one layer that starts at 0]."""


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """How a client learns from rewards of what its model writes.

    ``grpo`` (Shao et al. 2024, arXiv:2402.03300) and ``rloo`` (Ahmadian et al. 2024,
    arXiv:2402.14740) compare the answers to a prompt with one another; ``ppo`` (Schulman et al.
    2017, arXiv:1707.06347) compares each with what a value head expects, which lives in the job
    alone. In ``grpo`` the divergence from the reference is part of the loss, token by token; in
    ``rloo`` it is taken off the reward of an answer, in ``ppo`` off the reward of each token.
    ``grpo`` divides by the standard deviation within a group, so the divergence weighs less there.
    """

    algorithm: Literal["grpo", "rloo", "ppo"] = "grpo"
    """How rewards become a gradient."""
    num_steps: Annotated[int, Gt(0)] | None = None
    """Batches of prompts a job; the steps or epochs of ``training`` when empty."""
    prompts_per_step: Annotated[int, Gt(0)] = 2
    """Different prompts a batch; a smaller shard makes smaller batches."""
    num_completions: Annotated[int, Gt(0)] = 4
    """Answers to each prompt of a batch, at least 2 without a value head."""
    max_new_tokens: Annotated[int, Gt(0)] = 24
    """Most tokens of an answer; what is still unfinished then is scored as it stands. A prompt that
    leaves no room for them in the positions of the model loses its first tokens."""
    temperature: Annotated[float, Gt(0)] = 1.0
    """Scores are divided by it when answers are sampled and when their probabilities are taken."""
    kl_weight: Annotated[float, Ge(0)] = 0.05
    """Weight of the Kullback-Leibler divergence from the reference, the model with the first values
    of what is trained; 0 saves the pass through the reference."""
    clip: Annotated[float, Gt(0)] = 0.2
    """Furthest that the ratio of new to old probability counts from 1; of effect from the second
    update on the same answers on."""
    num_epochs: Annotated[int, Gt(0)] = 1
    """Updates with the answers of a batch."""
    value_learning_rate: Annotated[float, Gt(0)] | None = None
    """Step size of the value head of ``ppo``, 0.01 when empty."""
    gae_lambda: Annotated[float, Ge(0), Le(1)] | None = None
    """Of ``ppo``: 1 credits a token with all that follows, 0 with the next value alone; 0.95 when
    empty."""

    def find_problems(self) -> Sequence[tuple[tuple[str, ...], str]]:
        """Find settings that do not go together.

        Returns
        -------
        sequence of (path, message)
            Path within these settings; rule, value found, and what would be right.
        """
        problems: list[tuple[tuple[str, ...], str]] = []
        if self.algorithm == "ppo":
            return problems
        if self.num_completions < 2:
            rule = (
                f"must be at least 2, as {self.algorithm} compares the answers to a prompt, got "
                f"{self.num_completions}"
            )
            problems.append((("num_completions",), rule))
        for name in ("value_learning_rate", "gae_lambda"):
            value = getattr(self, name)
            if value is not None:
                rule = f"has no effect: {self.algorithm} has no value head (ppo has), got {value:g}"
                problems.append(((name,), rule))
        return problems
