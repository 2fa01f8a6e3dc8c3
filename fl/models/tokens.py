"""Texts as token ids, once, in one flat table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import transformers
from jaxtyping import Int

from fl.models.backbone import Backbone


@dataclass(frozen=True, kw_only=True)
class TokenTable:
    """Token ids of many texts without padding: 4 bytes a token, 8 bytes a text."""

    ids: Int[np.ndarray, " token"]
    """All texts' tokens one after the other, int32."""
    offsets: Int[np.ndarray, " bound"]
    """Text ``i`` is ``ids[offsets[i]:offsets[i + 1]]``; int64, one longer than the texts."""
    pad_token_id: int
    """Token that fills short texts of a batch."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int[np.ndarray, " text"]:
        """Tokens of each text."""
        return np.diff(self.offsets)

    def pad_batch(
        self, indices: Sequence[int] | Int[np.ndarray, " text"]
    ) -> tuple[Int[torch.Tensor, "text token"], Int[torch.Tensor, "text token"]]:
        """Give ids and mask (1 text, 0 padding on the right), as long as the longest text.

        Raises
        ------
        ValueError
            No text is asked for.
        """
        rows = np.asarray(indices, dtype=np.int64)
        if rows.size == 0:
            msg = "indices: must name at least 1 text, got none"
            raise ValueError(msg)
        lengths = self.lengths[rows]
        ids = np.full((len(rows), lengths.max()), self.pad_token_id, dtype=np.int64)
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids[mask] = np.concatenate(
            [self.ids[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        )
        return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))


def tokenize(texts: Sequence[str], backbone: Backbone) -> TokenTable:
    """Turn texts into ids with the model's own tokenizer, cut at its ``max_tokens``."""
    return tokenize_with(
        backbone.tokenizer,
        texts,
        max_tokens=backbone.max_tokens,
        pad_token_id=backbone.pad_token_id,
    )


def tokenize_with(
    tokenizer: transformers.PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    max_tokens: int,
    pad_token_id: int,
) -> TokenTable:
    """Turn texts into ids with any fast tokenizer of transformers.

    Raises
    ------
    ValueError
        A text gives no token at all, so that no class score could be computed for it.
    """
    encoded = (
        tokenizer(
            list(texts),
            truncation=True,
            max_length=max_tokens,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        if len(texts)
        else []
    )
    lengths = np.array([len(row) for row in encoded], dtype=np.int64)
    if np.any(lengths == 0):
        first = int(np.flatnonzero(lengths == 0)[0])
        msg = f"texts: every text must give at least 1 token, got none for {texts[first]!r}"
        raise ValueError(msg)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.fromiter((token for row in encoded for token in row), np.int32, int(offsets[-1]))
    return TokenTable(ids=ids, offsets=offsets, pad_token_id=pad_token_id)
