"""A text encoder with a linear classification head."""

import numpy as np
import torch
import transformers
from jaxtyping import Float, Int
from torch import nn
from torch.nn import functional

from fl.models.batch import Batch

HEAD_INIT_STD = 0.02
"""Standard deviation of the head's first weights, as BERT initialises its own layers."""


class TextClassifier(nn.Module):
    """Encoder, pooling over the text's tokens, linear head; no dropout anywhere."""

    def __init__(
        self,
        encoder: transformers.PreTrainedModel,
        *,
        num_classes: int,
        hidden_size: int,
        pooling: str,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        # Left unset, so that building it draws nothing from the global generator.
        self.head = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Linear, hidden_size, num_classes
        )
        self.pooling = pooling

    def features(
        self,
        input_ids: Int[torch.Tensor, "text token"],
        attention_mask: Int[torch.Tensor, "text token"],
        token_type_ids: Int[torch.Tensor, "text token"] | None = None,
    ) -> Float[torch.Tensor, "text hidden"]:
        """Pool the encoder's last hidden states over the tokens whose mask is 1."""
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        found = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **types)
        return pool(found.last_hidden_state, attention_mask, pooling=self.pooling)

    def forward(
        self,
        input_ids: Int[torch.Tensor, "text token"],
        attention_mask: Int[torch.Tensor, "text token"],
        token_type_ids: Int[torch.Tensor, "text token"] | None = None,
    ) -> Float[torch.Tensor, "text class"]:
        """Return the class scores (logits) of a batch of padded texts."""
        return self.head(self.features(input_ids, attention_mask, token_type_ids))

    def loss(self, batch: Batch) -> Float[torch.Tensor, ""]:
        """Return the cross-entropy of the batch's classes [nat], mean over texts."""
        return functional.cross_entropy(self.scores(batch), batch.labels)

    def losses(self, batch: Batch) -> tuple[Float[torch.Tensor, ""], Float[torch.Tensor, " text"]]:
        """Return the same loss, and that of each text without a gradient [nat]."""
        found = self.scores(batch)
        loss = functional.cross_entropy(found, batch.labels)
        each = functional.cross_entropy(found.detach(), batch.labels, reduction="none")
        return loss, each

    def score(self, batch: Batch) -> dict[str, Float[torch.Tensor, " text"]]:
        """Return what metrics are summed from, text by text, on the CPU.

        ``right`` is 1 where the class is right, ``texts`` is 1, ``nats`` is the cross-entropy.
        """
        found = self.scores(batch)
        right = (found.argmax(dim=-1) == batch.labels).cpu().double()
        nats = functional.cross_entropy(found, batch.labels, reduction="none").cpu().double()
        return {"right": right, "texts": torch.ones_like(right), "nats": nats}

    def scores(self, batch: Batch) -> Float[torch.Tensor, "text class"]:
        """Return the class scores of a batch, of its features where it has them."""
        if batch.features is not None:
            scores: torch.Tensor = self.head(batch.features)
            return scores
        return self(batch.input_ids, batch.attention_mask, batch.token_type_ids)


def pool(
    hidden: Float[torch.Tensor, "text token hidden"],
    attention_mask: Int[torch.Tensor, "text token"],
    *,
    pooling: str,
) -> Float[torch.Tensor, "text hidden"]:
    """Reduce token vectors to one vector a text; padding (mask 0) never counts."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        places = torch.arange(hidden.shape[1], device=hidden.device)
        last = (attention_mask * places).argmax(dim=1)
        return hidden[torch.arange(len(hidden), device=hidden.device), last]
    weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


def init_head(module: TextClassifier, rng: np.random.Generator) -> None:
    """Draw the head's weights anew: normal with standard deviation 0.02, bias 0."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**63 - 1)))
    with torch.no_grad():
        module.head.weight.normal_(0.0, HEAD_INIT_STD, generator=generator)
        module.head.bias.zero_()
