"""A causal language model that learns to write answers to prompts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from jaxtyping import Float, Int
from torch import nn
from torch.nn import functional

from fl.models.batch import NO_LABEL, Batch
from fl.problems import ModelError

Places = tuple[Int[torch.Tensor, " answer"], Int[torch.Tensor, " answer"]]
"""Row and column of some tokens of a batch."""


class LanguageModel(nn.Module):
    """Decoder and its output layer, which may share its weights with the token embedding.

    Scores come from the causal model's own forward pass, so that whatever it does to them (a
    scale, a soft cap) is done here too. Tokens are scored only where an answer is asked for: with a
    large vocabulary the output layer costs more than the rest.

    Parameters
    ----------
    causal
        Causal model of transformers.

    Raises
    ------
    fl.problems.ModelError
        The model has no output layer, or weights outside its decoder and its output layer.
    """

    def __init__(self, causal: transformers.PreTrainedModel) -> None:
        super().__init__()
        lm_head: nn.Module | None = causal.get_output_embeddings()  # type: ignore[no-untyped-call]
        decoder_name = _first_called(causal)
        if lm_head is None or not decoder_name:
            msg = f"model.name: a {type(causal).__name__} has no decoder with an output layer"
            raise ModelError(msg)
        self.encoder = causal.get_submodule(decoder_name)
        self.lm_head = lm_head
        known = {id(parameter) for parameter in self.parameters()}
        others = [name for name, each in causal.named_parameters() if id(each) not in known]
        if others:
            msg = (
                f"model.name: a {type(causal).__name__} has weights outside its decoder and its "
                f"output layer, first {others[0]}"
            )
            raise ModelError(msg)
        # In a tuple it is no submodule: its parts are, under names of their own.
        self._whole = (causal,)
        output_name = next(name for name, each in causal.named_modules() if each is lm_head)
        self._names = (decoder_name, output_name)

    @property
    def causal(self) -> transformers.PreTrainedModel:
        """The causal model as a whole."""
        return self._whole[0]

    def forward(
        self,
        input_ids: Int[torch.Tensor, "text token"],
        attention_mask: torch.Tensor,
        asked: Places | None = None,
    ) -> Float[torch.Tensor, "... vocabulary"]:
        """Return the scores (logits) of the token after each token, or after those asked for."""
        causal = self.causal
        # A method may have put other modules in the place of these.
        for name, part in zip(self._names, (self.encoder, self.lm_head), strict=True):
            causal.set_submodule(name, part)
        with _only(asked, self.lm_head):
            found = causal(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        return found.logits

    def loss(self, batch: Batch) -> Float[torch.Tensor, ""]:
        """Return the cross-entropy of the answers' tokens [nat], mean over tokens of the batch."""
        scores, wanted, _ = self.answer_scores(batch)
        return functional.cross_entropy(scores, wanted)

    def losses(self, batch: Batch) -> tuple[Float[torch.Tensor, ""], Float[torch.Tensor, " text"]]:
        """Return the same loss, and that of each text without a gradient: mean over its tokens."""
        scores, wanted, rows = self.answer_scores(batch)
        loss = functional.cross_entropy(scores, wanted)
        nats, tokens = _per_text(scores.detach(), wanted, rows, num_texts=len(batch.labels))
        return loss, nats / tokens

    def score(self, batch: Batch) -> dict[str, Float[torch.Tensor, " text"]]:
        """Return what metrics are summed from: ``nats`` and ``tokens`` of each answer."""
        scores, wanted, rows = self.answer_scores(batch)
        nats, tokens = _per_text(scores, wanted, rows, num_texts=len(batch.labels))
        return {"nats": nats, "tokens": tokens}

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
            scores = self(ids.to(device), mask.to(device), (torch.arange(len(going)), last))
            for index, token in zip(going, scores.argmax(dim=-1).tolist(), strict=True):
                if token == stop_id:
                    is_done[index] = True
                else:
                    texts[index].append(token)
        return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]

    def answer_scores(
        self, batch: Batch
    ) -> tuple[torch.Tensor, Int[torch.Tensor, " answer"], Int[torch.Tensor, " answer"]]:
        """Return scores, true token and row of every token of an answer."""
        wanted = batch.labels[:, 1:]
        rows, columns = (wanted != NO_LABEL).nonzero(as_tuple=True)
        scores = self(batch.input_ids, batch.attention_mask, (rows, columns))
        return scores, wanted[rows, columns], rows


def _per_text(
    scores: torch.Tensor, wanted: torch.Tensor, rows: torch.Tensor, *, num_texts: int
) -> torch.Tensor:
    """Return cross-entropy and number of the answer's tokens of each text, in two rows."""
    nats = functional.cross_entropy(scores, wanted, reduction="none").double()
    sums = torch.zeros((2, num_texts), dtype=torch.float64, device=nats.device)
    sums[0].index_add_(0, rows, nats)
    sums[1].index_add_(0, rows, torch.ones_like(nats))
    return sums


class _CalledError(Exception):
    """Ends a forward pass as soon as a part of the model is called; carries the part's name."""


def _first_called(causal: nn.Module) -> str:
    """Name the part of a causal model that its forward pass calls first: what the scores are of.

    It is not always the base model: some call a part of that. Nothing is computed.
    """

    def stop(name: str) -> Callable[..., None]:
        def end_pass(*_: object) -> None:
            raise _CalledError(name)

        return end_pass

    handles = [
        part.register_forward_pre_hook(stop(name)) for name, part in causal.named_modules() if name
    ]
    device = next(causal.parameters()).device
    try:
        causal(input_ids=torch.zeros((1, 2), dtype=torch.int64, device=device), use_cache=False)
    except _CalledError as called:
        return str(called)
    finally:
        for handle in handles:
            handle.remove()
    return ""


@contextmanager
def _only(asked: Places | None, lm_head: nn.Module) -> Iterator[None]:
    """Let an output layer see the hidden states at some places alone, shape ``(place, hidden)``."""
    if asked is None:
        yield
        return

    def select(_: nn.Module, args: tuple[Any, ...]) -> torch.Tensor:
        return args[0][asked]

    handle = lm_head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()
