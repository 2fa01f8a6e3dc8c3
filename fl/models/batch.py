"""A batch of texts, as models take it."""

from dataclasses import dataclass

import torch
from jaxtyping import Int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some texts, padded to the longest of them."""

    input_ids: Int[torch.Tensor, "text token"]
    attention_mask: Int[torch.Tensor, "text token"]
    """1 for the text, 0 for padding."""
    labels: Int[torch.Tensor, " text"]
    """Class of each text."""
