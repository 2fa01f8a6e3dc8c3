"""A reward model in memory: a sequence classifier with one output, which reads prompt and answer.

Prompt and answer are read as the tokenizer joins two texts: ``[CLS] prompt [SEP] answer [SEP]`` for
BERT types.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
import transformers
from jaxtyping import Float
from tokenizers import Encoding
from torch.utils.flop_counter import FlopCounterMode

from fl.models.backbone import Backbone
from fl.models.probe import short_text
from fl.problems import DataError, one_line
from fl.rewards.held_out import HeldOut
from fl.rewards.pairs import Pairs

BATCH_SIZE = 64
"""Texts that are scored at once; a batch is padded to its longest."""


@dataclass(frozen=True)
class PairEncoder:
    """Turns prompts with answers into token ids."""

    tokenizer: transformers.PreTrainedTokenizerBase
    """Fast tokenizer."""
    max_tokens: int
    """Longest text in tokens, special tokens included."""

    def cut(self, prompts: Sequence[str], responses: Sequence[str]) -> list[Encoding]:
        """Return the tokens of each text, cut at the longest length.

        A prompt loses its beginning as long as it has more than half of the tokens, then the answer
        its end [our choice]: of a dialogue the last turn stays.
        """
        backend: Any = self.tokenizer.backend_tokenizer
        room = self.max_tokens - backend.num_special_tokens_to_add(is_pair=True)
        heads, tails = self._apart(prompts), self._apart(responses)
        for head, tail in zip(heads, tails, strict=True):
            head.truncate(min(len(head), max(room // 2, room - len(tail))), direction="left")
            tail.truncate(min(len(tail), room - len(head)))
        return [backend.post_process(*both) for both in zip(heads, tails, strict=True)]

    def fitting(self, pairs: Pairs, *, key: str) -> list[tuple[Encoding, Encoding]]:
        """Return the tokens of the better and the worse answer of each pair that is not too long.

        Raises
        ------
        fl.problems.DataError
            All pairs are too long; the message begins with ``key``.
        """
        backend: Any = self.tokenizer.backend_tokenizer
        heads = self._apart(pairs.prompts)
        better, worse = (
            [backend.post_process(*both) for both in zip(heads, self._apart(side), strict=True)]
            for side in (pairs.chosen, pairs.rejected)
        )
        both_of = list(zip(better, worse, strict=True))
        rows = [both for both in both_of if max(map(len, both)) <= self.max_tokens]
        if not rows:
            msg = (
                f"{key}.max_tokens: all {len(pairs)} pairs are longer than {self.max_tokens} "
                f"tokens; the shortest has {min(max(map(len, both)) for both in both_of)}"
            )
            raise DataError(msg)
        return rows

    def _apart(self, texts: Sequence[str]) -> list[Encoding]:
        """Return the tokens of texts, whole and without special ones."""
        backend: Any = self.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        found: list[Encoding] = backend.encode_batch(list(texts), add_special_tokens=False)
        return found


def build_classifier(backbone: Backbone) -> transformers.PreTrainedModel:
    """Return a sequence classifier with one output on a backbone's encoder, all else drawn anew.

    Draws from the global generators. The output is read as transformers does for this architecture:
    the first token for BERT types, the last for causal models.
    """
    encoder = backbone.module.encoder
    settings: Any = copy.deepcopy(encoder.config)
    settings.num_labels = 1
    settings.pad_token_id = backbone.pad_token_id
    settings.architectures = None
    settings.dtype = torch.float32
    auto: Any = transformers.AutoModelForSequenceClassification
    model: Any = auto.from_config(settings, attn_implementation="eager")
    model.base_model.load_state_dict(encoder.state_dict(), strict=False)
    return model.eval()


@dataclass(frozen=True)
class ModelScores:
    """Scores of a reward model, standardised; see :class:`fl.rewards.reward.Reward`."""

    model: transformers.PreTrainedModel
    """Sequence classifier with one output, in evaluation mode."""
    encoder: PairEncoder
    digest: str
    """SHA-256 of all that decides the scores."""
    key: str
    """Key of the reward in the scenario, with which messages begin."""
    held_out: HeldOut | None = None
    """How it does on held-out pairs, by which scores are standardised; ``None``: outputs are scores
    as they are."""
    num_train_pairs: int = 0
    """Pairs that it was trained on here."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many pairs were left out of training or of the held-out ones, by the reason."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights, in float32."""
        return sum(tensor.nbytes for tensor in self.model.parameters())

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> Float[np.ndarray, " text"]:
        """Return the standardised score of each answer, higher is better.

        Raises
        ------
        FloatingPointError
            A score is not finite; the message names the answer.
        """
        found = self.outputs(self.encoder.cut(prompts, responses))
        if self.held_out is not None:
            found = (found - self.held_out.mean) / self.held_out.std
        if not np.isfinite(found).all():
            at = int(np.flatnonzero(~np.isfinite(found))[0])
            answer = one_line(repr(responses[at]), 80)
            msg = f"{self.key}: the reward model scores {found[at]} for {answer}"
            raise FloatingPointError(msg)
        return found

    def outputs(self, texts: Sequence[Encoding]) -> Float[np.ndarray, " text"]:
        """Return the model's outputs as they are."""
        found = np.zeros(len(texts))
        order = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(texts), BATCH_SIZE):
            some = order[start : start + BATCH_SIZE]
            found[some] = self._batch_outputs([texts[row] for row in some])
        return found

    def _batch_outputs(self, texts: Sequence[Encoding]) -> Float[np.ndarray, " text"]:
        lengths = np.array([len(text) for text in texts])
        mask = np.arange(max(1, lengths.max())) < lengths[:, None]

        def padded(rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
            found = np.full(mask.shape, fill, dtype=np.int64)
            found[mask] = [token for row in rows for token in row]
            return torch.from_numpy(found)

        inputs = {
            "input_ids": padded([text.ids for text in texts], self.model.config.pad_token_id or 0),
            "attention_mask": torch.from_numpy(mask.astype(np.int64)),
        }
        if "token_type_ids" in self.encoder.tokenizer.model_input_names:
            inputs["token_type_ids"] = padded([text.type_ids for text in texts], 0)
        with torch.no_grad():
            logits = self.model(**inputs).logits
        return logits[:, 0].double().numpy()

    def flop(self, *, num_texts: int, num_tokens: int) -> int:
        """Return the operations of scoring: matrix products, two operations a multiply-add.

        Parameters
        ----------
        num_texts
            Answers.
        num_tokens
            Tokens of each with its prompt; more than the model reads cost nothing.
        """
        steps = min(num_tokens, self.encoder.max_tokens) - 1
        first, second, third = self._counted
        slope, bend = second - first, third - 2 * second + first
        return num_texts * (first + steps * slope + steps * (steps - 1) // 2 * bend)

    @cached_property
    def _counted(self) -> tuple[int, int, int]:
        """Operations of a text of 1, 2 and 3 tokens: a quadratic in the length of a transformer."""
        return self.count(1), self.count(2), self.count(3)

    def count(self, num_tokens: int) -> int:
        """Return the operations of one text by running it."""
        ids = short_text(self.model)[:, :1].repeat(1, num_tokens)
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            self.model(input_ids=ids, attention_mask=torch.ones_like(ids))
        return int(counter.get_total_flops())
