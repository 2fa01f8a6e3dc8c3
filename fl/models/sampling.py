"""Writing with a causal model, token by token.

With a cache of keys and values each token is passed through the model once. Prompts of different
lengths are padded on the left there, so that all texts end in the same column, and positions are
counted from each text's first token. Equal prompts are read once, however many texts continue
them, and a text that has ended takes no further part.

Without a cache every token is worked out from the whole text so far: slower, but right for any
layer. That is the way of models that keep no keys and values, and of layers that declare
``keeps_keys = False``: those that let a token see others in another way than by attention.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import transformers
from jaxtyping import Float, Int
from torch import nn

Choose = Callable[[torch.Tensor, list[int], int], list[int]]
"""Choose the next token of some texts from their scores ``(text, vocabulary)``, the rows of these
texts among all, and the number of tokens that they have written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Where texts end, and what fills short ones."""

    num_tokens: int
    """Most tokens to write, at least 1."""
    stop_id: int | None
    """Token that ends a text; it is not given back."""
    pad_id: int
    """Token that fills short texts."""


class Writer(Protocol):
    """A model that gives the scores of the next token of each text."""

    def last_scores(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **inputs: object
    ) -> Float[torch.Tensor, "text vocabulary"]:
        """Return the scores of the token after each text's last one whose mask is 1."""


def may_cache(causal: transformers.PreTrainedModel, parts: nn.Module) -> bool:
    """Whether a model keeps keys and values, with the layers that a method has put into it.

    Parameters
    ----------
    causal
        Causal model of transformers.
    parts
        All that it runs, the layers of the method among it.
    """
    if "past_key_values" not in inspect.signature(causal.forward).parameters:
        return False
    if getattr(causal, "_is_stateful", False):  # recurrent layers, which padding would change
        return False
    return all(getattr(each, "keeps_keys", True) for each in parts.modules())


def write_cached(
    writer: Writer,
    causal: transformers.PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    limits: Limits,
    choose: Choose,
) -> list[list[int]]:
    """Continue prompts with a cache of keys and values; arguments as :func:`write_uncached`.

    ``causal`` is the model whose configuration decides the kind of cache.
    """
    device = next(causal.parameters()).device
    takes_positions = "position_ids" in inspect.signature(causal.forward).parameters
    written: list[list[int]] = [[] for _ in prompts]
    distinct = list(dict.fromkeys(tuple(prompt) for prompt in prompts))
    longest = max(len(prompt) for prompt in distinct)
    ids = torch.full((len(distinct), longest), limits.pad_id, dtype=torch.int64)
    whole_mask = torch.zeros((len(distinct), longest + limits.num_tokens), dtype=torch.int64)
    for row, prompt in enumerate(distinct):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        whole_mask[row, longest - len(prompt) :] = 1
    whole_mask = whole_mask.to(device)
    cache = transformers.DynamicCache(config=causal.config)

    def scores_after(ids: torch.Tensor, num_columns: int) -> torch.Tensor:
        mask = whole_mask[:, :num_columns]
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        inputs = {"position_ids": positions} if takes_positions else {}
        return writer.last_scores(ids, mask, past_key_values=cache, use_cache=True, **inputs)

    def keep(rows: list[int]) -> None:
        nonlocal whole_mask
        indices = torch.tensor(rows, device=device)
        cache.batch_select_indices(indices)
        whole_mask = whole_mask[indices]

    scores = scores_after(ids.to(device), longest)
    rows_of = {prompt: row for row, prompt in enumerate(distinct)}
    rows = [rows_of[tuple(prompt)] for prompt in prompts]
    if rows != list(range(len(distinct))):
        keep(rows)
        scores = scores[torch.tensor(rows, device=device)]
    going = list(range(len(prompts)))
    for step in range(limits.num_tokens):
        tokens = choose(scores, going, step)
        kept = [row for row, token in enumerate(tokens) if token != limits.stop_id]
        for row in kept:
            written[going[row]].append(tokens[row])
        if not kept or step + 1 == limits.num_tokens:
            break
        if len(kept) < len(going):
            keep(kept)
            going = [going[row] for row in kept]
        last = torch.tensor([[tokens[row]] for row in kept], device=device)
        scores = scores_after(last, longest + step + 1)
    return written


def write_uncached(
    writer: Writer,
    prompts: Sequence[Sequence[int]],
    *,
    limits: Limits,
    choose: Choose,
    device: torch.device,
) -> list[list[int]]:
    """Continue prompts, each token from the whole text before it.

    Parameters
    ----------
    writer
        The model.
    prompts
        Token ids of each prompt, none empty.
    limits
        Where texts end.
    choose
        Chooses each token.
    device
        Where the model lies.

    Returns
    -------
    list of list of int
        What was written after each prompt.
    """
    texts = [list(prompt) for prompt in prompts]
    going = list(range(len(texts)))
    for step in range(limits.num_tokens):
        longest = max(len(texts[index]) for index in going)
        ids = torch.full((len(going), longest), limits.pad_id, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, index in enumerate(going):
            ids[row, : len(texts[index])] = torch.tensor(texts[index])
            mask[row, : len(texts[index])] = 1
        scores = writer.last_scores(ids.to(device), mask.to(device), use_cache=False)
        tokens = choose(scores, going, step)
        for index, token in zip(going, tokens, strict=True):
            if token != limits.stop_id:
                texts[index].append(token)
        going = [
            index for index, token in zip(going, tokens, strict=True) if token != limits.stop_id
        ]
        if not going:
            break
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]


def likeliest(scores: torch.Tensor, rows: list[int], step: int) -> list[int]:
    """Choose the token of the highest score."""
    return scores.argmax(dim=-1).tolist()


def drawing(
    *, num_texts: int, num_tokens: int, temperature: float, generator: torch.Generator
) -> Choose:
    """Return what draws tokens with the probabilities ``softmax(scores / temperature)``.

    A uniform number for each text and token is drawn at once, and looked up in the cumulative
    probabilities: what one text is given does not depend on when others end.

    Parameters
    ----------
    num_texts, num_tokens
        Texts, and most tokens of each.
    temperature
        Above 0; 1 draws from the model's own distribution.
    generator
        On the CPU; the only source of randomness.
    """
    uniform = torch.rand((num_texts, num_tokens), dtype=torch.float64, generator=generator)

    def choose(scores: torch.Tensor, rows: list[int], step: int) -> list[int]:
        chances = torch.softmax(scores.cpu().double() / temperature, dim=-1)
        bounds = chances.cumsum(dim=-1)
        wanted = uniform[rows, step, None] * bounds[:, -1:]
        found: Int[torch.Tensor, "text 1"] = torch.searchsorted(bounds, wanted, right=True)
        return found[:, 0].clamp(max=scores.shape[-1] - 1).tolist()

    return choose
