"""What a model wrote to prompts, and how probable a model finds it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch.nn import functional

from fl.models.language import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Completions:
    """Prompts with what was written after each, padded on the right."""

    input_ids: Int[torch.Tensor, "text column"]
    attention_mask: Int[torch.Tensor, "text column"]
    tokens: Int[torch.Tensor, "text step"]
    """Written tokens, the one that ended a text among them; 0 where none was."""
    is_written: Bool[torch.Tensor, "text step"]
    """Which tokens of a text there are: its first ones, at least 1."""
    columns: Int[torch.Tensor, "text step"]
    """Column of the token before each written one."""

    @classmethod
    def of(
        cls,
        prompts: Sequence[Sequence[int]],
        written: Sequence[Sequence[int]],
        *,
        num_tokens: int,
        stop_id: int | None,
        pad_id: int,
        device: torch.device,
    ) -> "Completions":
        """Lay out what :meth:`fl.models.language.LanguageModel.sample` gave.

        A text that ended before ``num_tokens`` was ended by ``stop_id``, which the model chose like
        any other token: so even an empty answer has one.
        """
        answers = [
            [*own, stop_id] if len(own) < num_tokens and stop_id is not None else list(own)
            for own in written
        ]
        texts = [[*prompt, *own] for prompt, own in zip(prompts, answers, strict=True)]
        starts = torch.tensor([len(prompt) for prompt in prompts])
        steps = torch.arange(max(len(own) for own in answers))
        lengths = torch.tensor([len(own) for own in answers])
        return cls(
            input_ids=_padded(texts, fill=pad_id).to(device),
            attention_mask=_padded([[1] * len(text) for text in texts], fill=0).to(device),
            tokens=_padded(answers, fill=0).to(device),
            is_written=(steps < lengths[:, None]).to(device),
            columns=(starts[:, None] - 1 + steps).to(device),
        )


def log_probabilities(
    module: LanguageModel, completions: Completions, *, temperature: float
) -> Float[torch.Tensor, "text step"]:
    """Return the log-probability of each written token, given all before it; 0 where none is.

    Parameters
    ----------
    module
        Language model.
    completions
        What was written, by this model or another.
    temperature
        Scores are divided by it.
    """
    rows, steps = completions.is_written.nonzero(as_tuple=True)
    scores = module(
        completions.input_ids,
        completions.attention_mask,
        (rows, completions.columns[rows, steps]),
    )
    return spread_out(token_log_probabilities(scores, completions, temperature), completions)


def token_log_probabilities(
    scores: Float[torch.Tensor, "token vocabulary"], completions: Completions, temperature: float
) -> Float[torch.Tensor, " token"]:
    """Return the log-probability of each written token, text by text, from scores in that order."""
    wanted = completions.tokens[completions.is_written]
    return -functional.cross_entropy(scores / temperature, wanted, reduction="none")


def spread_out(
    values: Float[torch.Tensor, " token"], completions: Completions
) -> Float[torch.Tensor, "text step"]:
    """Put a value of each written token in its place, 0 elsewhere."""
    there = completions.is_written
    return values.new_zeros(there.shape).masked_scatter(there, values)


def _padded(texts: Sequence[Sequence[int]], *, fill: int) -> Int[torch.Tensor, "text column"]:
    padded = torch.full((len(texts), max(map(len, texts))), fill, dtype=torch.int64)
    for row, text in enumerate(texts):
        padded[row, : len(text)] = torch.tensor(text)
    return padded


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Answers of one step with all that updates need."""

    completions: Completions
    rewards: Float[torch.Tensor, " text"]
    """Of each answer, mixed by the client's weight."""
    reference: Float[torch.Tensor, "text step"] | None
    """Log-probabilities in the reference model; ``None`` where nothing is kept near it."""
