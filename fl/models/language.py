"""A causal language model that learns to write answers to prompts."""

import torch
import transformers
from jaxtyping import Float, Int
from torch import nn
from torch.nn import functional

from fl.models.batch import NO_LABEL, Batch

Places = tuple[Int[torch.Tensor, " answer"], Int[torch.Tensor, " answer"]]
"""Row and column of some tokens of a batch."""


class LanguageModel(nn.Module):
    """Decoder and its output layer, which may share its weights with the token embedding.

    Tokens are scored only where an answer is asked for: with a large vocabulary the output layer
    costs more than the rest.
    """

    def __init__(self, encoder: transformers.PreTrainedModel, *, lm_head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.lm_head = lm_head

    def forward(
        self,
        input_ids: Int[torch.Tensor, "text token"],
        attention_mask: torch.Tensor,
        asked: Places | None = None,
    ) -> Float[torch.Tensor, "... vocabulary"]:
        """Give the scores (logits) of the token after each token, or after those asked for."""
        hidden = self._hidden(input_ids, attention_mask)
        return self.lm_head(hidden if asked is None else hidden[asked])

    def loss(self, batch: Batch) -> Float[torch.Tensor, ""]:
        """Give the cross-entropy of the answers' tokens [nat], mean over tokens of the batch."""
        scores, wanted, _ = self._scores(batch)
        return functional.cross_entropy(scores, wanted)

    def score(self, batch: Batch) -> dict[str, Float[torch.Tensor, " text"]]:
        """Give what metrics are summed from: ``nats`` and ``tokens`` of each answer."""
        scores, wanted, rows = self._scores(batch)
        nats = functional.cross_entropy(scores, wanted, reduction="none").double()
        sums = torch.zeros((2, len(batch.labels)), dtype=torch.float64, device=nats.device)
        sums[0].index_add_(0, rows, nats)
        sums[1].index_add_(0, rows, torch.ones_like(nats))
        return {"nats": sums[0], "tokens": sums[1]}

    def write(
        self, prompts: list[list[int]], *, num_tokens: int, stop_id: int | None, pad_id: int
    ) -> list[list[int]]:
        """Continue prompts greedily.

        Every token is worked out from the whole text so far: slower than with a cache of keys and
        values, but right for any layer that a method has put into the model.

        Parameters
        ----------
        prompts
            Token ids of each prompt, none empty.
        num_tokens
            Most tokens to write.
        stop_id
            Token that ends a text; it is not given back.
        pad_id
            Token that fills short texts.
        """
        texts = [list(prompt) for prompt in prompts]
        is_done = [False] * len(texts)
        device = next(self.parameters()).device
        for _ in range(num_tokens):
            going = [index for index, done in enumerate(is_done) if not done]
            if not going:
                break
            longest = max(len(texts[index]) for index in going)
            ids = torch.full((len(going), longest), pad_id, dtype=torch.int64)
            mask = torch.zeros_like(ids)
            for row, index in enumerate(going):
                ids[row, : len(texts[index])] = torch.tensor(texts[index])
                mask[row, : len(texts[index])] = 1
            last = mask.sum(dim=1) - 1
            hidden = self._hidden(ids.to(device), mask.to(device))
            scores = self.lm_head(hidden[torch.arange(len(going)), last])
            for index, token in zip(going, scores.argmax(dim=-1).tolist(), strict=True):
                if token == stop_id:
                    is_done[index] = True
                else:
                    texts[index].append(token)
        return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]

    def _hidden(
        self, input_ids: Int[torch.Tensor, "text token"], attention_mask: torch.Tensor
    ) -> Float[torch.Tensor, "text token hidden"]:
        found = self.encoder(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        return found.last_hidden_state

    def _scores(
        self, batch: Batch
    ) -> tuple[torch.Tensor, Int[torch.Tensor, " answer"], Int[torch.Tensor, " answer"]]:
        """Give scores, true token and row of every token of an answer."""
        wanted = batch.labels[:, 1:]
        rows, columns = (wanted != NO_LABEL).nonzero(as_tuple=True)
        scores = self(batch.input_ids, batch.attention_mask, (rows, columns))
        return scores, wanted[rows, columns], rows
