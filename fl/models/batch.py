"""A batch of texts, as models take it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int

NO_LABEL = -100
"""Label of a token that the model is not asked for: prompt and padding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Some texts, padded to the longest of them."""

    input_ids: Int[torch.Tensor, "text token"]
    attention_mask: Int[torch.Tensor, "text token"]
    """1 for the text, 0 for padding."""
    labels: Int[torch.Tensor, "..."]
    """Class of each text; or each token of an answer, and ``NO_LABEL`` elsewhere."""
    token_type_ids: Int[torch.Tensor, "text token"] | None = None
    """0 for the first text of a pair, 1 for the second; ``None`` where the model knows no types."""
    features: Float[torch.Tensor, "text hidden"] | None = None
    """What a frozen encoder makes of the texts, where that is known: they have no tokens then."""
