"""What a few tokens through a model tell of it: width, positions, token types, who sees whom.

Configurations name these things in many ways, and not all of them; the forward pass has to know.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn
from torch.overrides import TorchFunctionMode

from fl.problems import ModelError

NUM_TOKENS = 4
"""Tokens of the text that is passed through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a forward pass shows."""

    hidden_size: int
    """Width of the last hidden states."""
    vocabulary_size: int
    """Rows of the token embedding: ids must be smaller."""
    num_positions: int | None
    """Most tokens of a text: rows of the table of positions that texts use, or what the
    configuration gives where positions are computed; ``None`` where neither names a limit."""
    num_token_types: int
    """Rows of the table of token types; 0 where the model knows none."""
    is_causal: bool
    """Whether a token sees only those before it."""


class _Lookups(TorchFunctionMode):
    """Notes what is looked up in which table, for as long as the context lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[torch.Tensor, torch.Tensor]] = []
        """Table, indices."""

    def __torch_function__(
        self,
        func: Any,  # noqa: ANN401
        types: Any,  # noqa: ANN401
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        if func is nn.functional.embedding:
            indices, table = args[:2]
            self.found.append((table, indices))
        return func(*args, **(kwargs or {}))


def probe(encoder: transformers.PreTrainedModel) -> ModelFacts:
    """Pass a short text through a model, without gradients, and say what was seen.

    Raises
    ------
    fl.problems.ModelError
        The model reads no token ids, gives no hidden state for each of them, or gives one that is
        not finite.
    """
    kind = type(encoder).__name__
    table = getattr(_words(encoder), "weight", None)
    if table is None:
        msg = f"model.name: a {kind} has no table of token embeddings: it reads no text"
        raise ModelError(msg)
    ids = short_text(encoder)
    other = torch.cat([ids[:, :-1], ids[:, :1]], dim=1)
    lookups = _Lookups()
    with torch.no_grad(), lookups:
        hidden = last_hidden(encoder, ids)
    with torch.no_grad():
        changed = last_hidden(encoder, other)
    if not hidden.isfinite().all():
        msg = f"model.name: a {kind} gives hidden states that are not finite"
        raise ModelError(msg)
    return ModelFacts(
        hidden_size=hidden.shape[-1],
        vocabulary_size=len(table),
        num_positions=_num_positions(
            encoder, lookups.found, widths={table.shape[1], hidden.shape[-1]}
        ),
        num_token_types=_num_token_types(encoder, ids),
        is_causal=torch.allclose(hidden[:, :-1], changed[:, :-1], rtol=1e-4, atol=1e-6),
    )


def short_text(encoder: transformers.PreTrainedModel) -> torch.Tensor:
    """Return ids of one text, shape ``(1, NUM_TOKENS)``: the first that are no padding."""
    words = _words(encoder)
    # MPNet gives id 1 no position of its own, whatever its configuration says.
    padding = {getattr(encoder.config, "pad_token_id", None), getattr(words, "padding_idx", None)}
    usable = [
        index for index in range(min(len(words.weight), NUM_TOKENS + 2)) if index not in padding
    ]
    ids = [usable[place % len(usable)] for place in range(NUM_TOKENS)]
    return torch.tensor([ids], device=next(encoder.parameters()).device)


def last_hidden(encoder: nn.Module, ids: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
    """Return the last hidden states of a text, shape ``(1, token, hidden)``.

    Raises
    ------
    fl.problems.ModelError
        The model gives none, or another number of them than the text has tokens.
    """
    found = encoder(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs)
    hidden = getattr(found, "last_hidden_state", None)
    if hidden is None or tuple(hidden.shape[:-1]) != tuple(ids.shape):
        given = "none" if hidden is None else f"shape {tuple(hidden.shape)}"
        msg = (
            f"model.name: a {type(encoder).__name__} must give one hidden state for each of "
            f"{ids.shape[1]} tokens, gives {given}"
        )
        raise ModelError(msg)
    return hidden


def unused_parameters(encoder: nn.Module, output: torch.Tensor) -> set[str]:
    """Name the parameters that an output, computed with gradients, does not depend on."""
    used = {id(node.variable) for node in _graph(output) if hasattr(node, "variable")}
    return {name for name, each in encoder.named_parameters() if id(each) not in used}


def _graph(output: torch.Tensor) -> Iterator[Any]:
    """Walk through what backward would visit; leaves carry their parameter as ``variable``."""
    waiting, seen = [output.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting.extend(before for before, _ in node.next_functions)


def _words(encoder: transformers.PreTrainedModel) -> Any:  # noqa: ANN401 -- layer or nothing
    """Return the layer that embeds tokens, if there is one."""
    try:
        return encoder.get_input_embeddings()
    except NotImplementedError:
        return None


def _num_positions(
    encoder: transformers.PreTrainedModel,
    lookups: Sequence[tuple[torch.Tensor, torch.Tensor]],
    *,
    widths: set[int],
) -> int | None:
    """Return the rows of a table that are looked up one after the other, from the first on."""
    limits = []
    words = _words(encoder).weight
    for table, indices in lookups:
        rows = indices.reshape(-1, indices.shape[-1])[0].tolist() if indices.ndim else []
        is_consecutive = rows == list(range(rows[0], rows[0] + NUM_TOKENS)) if rows else False
        # A table of relative positions is as wide as there are heads.
        if table is not words and is_consecutive and table.shape[1] in widths:
            limits.append(len(table) - rows[0])
    named = getattr(encoder.config, "max_position_embeddings", None)
    if not limits and isinstance(named, int) and named > 0:
        limits.append(named)
    return min(limits, default=None)


def _num_token_types(encoder: transformers.PreTrainedModel, ids: torch.Tensor) -> int:
    """Return the rows of the table in which types are looked up."""
    types = torch.arange(NUM_TOKENS, device=ids.device).remainder(2)[None]
    words, lookups = _words(encoder).weight, _Lookups()
    try:
        with torch.no_grad(), lookups:
            last_hidden(encoder, ids, token_type_ids=types)
    except (TypeError, IndexError):
        # No such argument, or a table of one row.
        return 0
    return max(
        (
            len(table)
            for table, indices in lookups.found
            if table is not words and torch.equal(indices.reshape(-1), types.reshape(-1))
        ),
        default=0,
    )
