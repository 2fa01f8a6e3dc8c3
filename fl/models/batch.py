"""A batch of texts, as models take it."""

from dataclasses import dataclass, fields, replace

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

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device; the very batch where that is the CPU, where it is made."""
        if device.type == "cpu":
            return self
        held = {each.name: getattr(self, each.name) for each in fields(self)}
        moved = {name: _moved(each, device) for name, each in held.items() if each is not None}
        return replace(self, **moved)


def precise(device: torch.device) -> torch.dtype:
    """Return the most precise numbers of a device: that of Apple knows no double precision."""
    return torch.float32 if device.type == "mps" else torch.float64


def _moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy a tensor without waiting for what the device is at."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
