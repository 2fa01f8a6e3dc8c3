"""A causal language model that learns to write answers to prompts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from jaxtyping import Float, Int
from torch import nn
from torch.nn import functional

from fl.models.batch import NO_LABEL, Batch, precise
from fl.models.sampling import (
    Choose,
    Limits,
    drawing,
    likeliest,
    may_cache,
    write_cached,
    write_uncached,
)
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
        return self._pass(input_ids, attention_mask, asked, use_cache=False)

    def _pass(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        asked: Places | None,
        **inputs: Any,  # noqa: ANN401
    ) -> torch.Tensor:
        causal = self.causal
        # A method may have put other modules in the place of these.
        for name, part in zip(self._names, (self.encoder, self.lm_head), strict=True):
            causal.set_submodule(name, part)
        with _only(asked, self.lm_head):
            found = causal(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        return found.logits

    def scores_and_states(
        self,
        input_ids: Int[torch.Tensor, "text token"],
        attention_mask: Int[torch.Tensor, "text token"],
        asked: Places,
    ) -> tuple[Float[torch.Tensor, "place vocabulary"], Float[torch.Tensor, "place hidden"]]:
        """Return the scores after some tokens, and the hidden states that they are made of."""
        seen: list[torch.Tensor] = []
        handle = self.lm_head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        try:
            scores = self(input_ids, attention_mask, asked)
        finally:
            handle.remove()
        (states,) = seen
        return scores, states[asked].float()

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
        """Return what metrics are summed from, on the CPU: ``nats`` and ``tokens`` of answers."""
        scores, wanted, rows = self.answer_scores(batch)
        nats, tokens = _per_text(scores, wanted, rows, num_texts=len(batch.labels))
        return {"nats": nats.cpu().double(), "tokens": tokens.cpu().double()}

    def write(
        self, prompts: Sequence[Sequence[int]], *, num_tokens: int, stop_id: int | None, pad_id: int
    ) -> list[list[int]]:
        """Continue prompts with the likeliest token each time; arguments as :meth:`sample`."""
        limits = Limits(num_tokens=num_tokens, stop_id=stop_id, pad_id=pad_id)
        return self._written(prompts, limits, likeliest)

    def sample(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        num_tokens: int,
        stop_id: int | None,
        pad_id: int,
        temperature: float,
        generator: torch.Generator,
    ) -> list[list[int]]:
        """Continue prompts with tokens drawn from the model's distribution.

        Parameters
        ----------
        prompts
            Token ids of each prompt, none empty; a prompt that occurs several times is continued
            as often.
        num_tokens
            Most tokens to write.
        stop_id
            Token that ends a text; it is not given back. A text of ``num_tokens`` tokens has not
            ended.
        pad_id
            Token that fills short texts.
        temperature
            Scores are divided by it, above 0.
        generator
            On the CPU; the only source of randomness.

        Raises
        ------
        ValueError
            If a prompt is empty, or the temperature is not above 0.
        """
        if not temperature > 0:
            msg = f"temperature: must be above 0, got {temperature:g}"
            raise ValueError(msg)
        choose = drawing(
            num_texts=len(prompts),
            num_tokens=num_tokens,
            temperature=temperature,
            generator=generator,
        )
        limits = Limits(num_tokens=num_tokens, stop_id=stop_id, pad_id=pad_id)
        return self._written(prompts, limits, choose)

    def _written(
        self, prompts: Sequence[Sequence[int]], limits: Limits, choose: Choose
    ) -> list[list[int]]:
        if not all(prompts):
            msg = "prompts: each must have at least 1 token, got an empty one"
            raise ValueError(msg)
        if not prompts or limits.num_tokens < 1:
            return [[] for _ in prompts]
        with torch.inference_mode():
            if may_cache(self.causal, self):
                return write_cached(self, self.causal, prompts, limits=limits, choose=choose)
            device = next(self.parameters()).device
            return write_uncached(self, prompts, limits=limits, choose=choose, device=device)

    def last_scores(
        self,
        input_ids: Int[torch.Tensor, "text token"],
        attention_mask: Int[torch.Tensor, "text column"],
        **inputs: Any,  # noqa: ANN401 -- of the causal model: cache, positions
    ) -> Float[torch.Tensor, "text vocabulary"]:
        """Return the scores of the token after each text's last one whose mask is 1.

        The mask may have more columns than there are tokens: the first ones are of the cache.
        """
        columns = torch.arange(attention_mask.shape[1], device=attention_mask.device)
        last = (attention_mask * columns).argmax(dim=1)
        last = last - (attention_mask.shape[1] - input_ids.shape[1])
        rows = torch.arange(len(last), device=last.device)
        return self._pass(input_ids, attention_mask, (rows, last), **inputs)

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
    nats = functional.cross_entropy(scores, wanted, reduction="none").to(precise(scores.device))
    sums = torch.zeros((2, num_texts), dtype=nats.dtype, device=nats.device)
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
