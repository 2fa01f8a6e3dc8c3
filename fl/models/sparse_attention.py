"""Sparse attention: each token sees the nearest tokens and the first ones of its text.

The decoder is given a mask of its own in the place of the one that says where padding is. Masked
pairs are still multiplied here, and only kept out: the saving on a device with fitting kernels is
counted, by :meth:`fl.models.attention_window.AttentionWindow.attended_pairs`. All keys stay in the
cache.
"""

import inspect
from typing import Any

import torch
import transformers
from jaxtyping import Bool, Int
from torch import nn

from fl.models.attention_window import AttentionWindow
from fl.models.probe import last_hidden, short_text
from fl.problems import ModelError

OWN_WINDOWS = ("sliding_window", "attention_chunk_size")
"""Settings of models whose attention is sparse by itself."""

MOST_INFLUENCE = 1e-3
"""Of a token out of sight, as a share of what it has in sight: what rounding leaves."""


class SparseMask:
    """Puts its mask in the place of a decoder's; called before each forward pass.

    Parameters
    ----------
    attention
        Which tokens see which.
    """

    def __init__(self, attention: AttentionWindow) -> None:
        self._attention = attention

    def __call__(
        self,
        decoder: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a decoder with an additive mask ``(text, 1, query, key)``."""
        given = args[0] if args else kwargs.get("input_ids")
        if given is None:
            given = kwargs["inputs_embeds"]
        texts, num_queries = given.shape[:2]
        mask = kwargs.get("attention_mask")
        if mask is None:
            cache = kwargs.get("past_key_values")
            num_cached = 0 if cache is None else cache.get_seq_length()
            mask = torch.ones((texts, num_cached + num_queries), device=given.device)
        if kwargs.get("position_ids") is None and _takes_positions(decoder):
            # Some would count them in the mask.
            positions = (mask.long().cumsum(dim=1) - 1).clamp(min=0)
            kwargs = {**kwargs, "position_ids": positions[:, -num_queries:]}
        seen = visible(mask.bool(), num_queries, self._attention)
        weight = next(decoder.parameters())
        hidden = torch.finfo(weight.dtype).min
        added = torch.zeros(seen.shape, dtype=weight.dtype, device=weight.device)
        return args, {**kwargs, "attention_mask": added.masked_fill(~seen, hidden)[:, None]}


def visible(
    mask: Bool[torch.Tensor, "text key"], num_queries: int, attention: AttentionWindow
) -> Bool[torch.Tensor, "text query key"]:
    """Return which keys each of the last tokens sees.

    Parameters
    ----------
    mask
        Which keys are of the text; padding may be on either side.
    num_queries
        Tokens, the last of the keys, that look.
    attention
        How far they see.
    """
    keys = torch.arange(mask.shape[1], device=mask.device)
    distance: Int[torch.Tensor, "query key"] = keys[-num_queries:, None] - keys
    is_near = (distance >= 0) & (distance < attention.window)
    is_first = mask & (mask.cumsum(dim=1) <= attention.num_first)
    seen = is_near | (is_first[:, None] & (distance >= 0))
    return seen & mask[:, None]


def use_sparse_attention(module: nn.Module, *, window: int, num_first: int) -> None:
    """Let a language model's ``encoder`` attend sparsely from now on, in place.

    No parameter is added and none changes its name. A method's virtual tokens are the first ones
    of a text; prefixes are always seen.

    Parameters
    ----------
    module
        Language model in which no method has put anything around its ``encoder`` yet.
    window, num_first
        As in :class:`fl.models.attention_window.AttentionWindow`.

    Raises
    ------
    fl.problems.ModelError
        If the model's attention is sparse by itself, or it does not follow a mask.
    """
    decoder: transformers.PreTrainedModel = module.encoder  # type: ignore[assignment]
    name = type(decoder).__name__
    own = [each for each in OWN_WINDOWS if getattr(decoder.config, each, None) is not None]
    if own:
        msg = f"attention: {name} has sparse attention of its own ({own[0]})"
        raise ModelError(msg)
    if not _follows_mask(decoder):
        msg = f"attention: {name} does not follow a mask that it is given, so it stays dense"
        raise ModelError(msg)
    sight = SparseMask(AttentionWindow(window=window, num_first=num_first))
    decoder.register_forward_pre_hook(sight, with_kwargs=True)


def _takes_positions(decoder: nn.Module) -> bool:
    return "position_ids" in inspect.signature(decoder.forward).parameters


def _follows_mask(decoder: transformers.PreTrainedModel) -> bool:
    """Whether a token that sees itself alone is independent of what stands before it."""
    sight = SparseMask(AttentionWindow(window=1, num_first=0))
    dense = _influence(decoder)
    handle = decoder.register_forward_pre_hook(sight, with_kwargs=True)
    try:
        return _influence(decoder) < MOST_INFLUENCE * dense
    except (RuntimeError, ValueError, TypeError, IndexError):
        return False
    finally:
        handle.remove()


def _influence(decoder: transformers.PreTrainedModel) -> float:
    """Return how far the last hidden state moves with the first token of a text."""
    ids = short_text(decoder)
    other = ids.clone()
    other[0, 0] = ids[0, -1]
    with torch.inference_mode():
        first, second = (last_hidden(decoder, each)[0, -1] for each in (ids, other))
    return float((first - second).abs().max())
