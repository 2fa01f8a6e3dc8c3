"""Texts as token ids, once, in one flat table."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import transformers
from jaxtyping import Bool, Int

from fl.data.table import TextTable
from fl.models.backbone import Backbone
from fl.models.batch import NO_LABEL
from fl.models.chat import ChatLayout, Row
from fl.problems import ModelError

NUM_CHECKED, MAX_CHECKED_CHARACTERS = 200, 2000
"""Most texts, and most characters of each, on which a tokenizer is tried."""
MIN_KNOWN = 0.9
"""Least share of characters that a tokenizer knows of texts [our choice]: rare signs are missing
from many vocabularies, whole alphabets only from those of other languages."""


@dataclass(frozen=True, kw_only=True)
class TokenTable:
    """Token ids of many texts without padding: 4 bytes a token, 8 bytes a text."""

    ids: Int[np.ndarray, " token"]
    """All texts' tokens one after the other, int32."""
    offsets: Int[np.ndarray, " bound"]
    """Text ``i`` is ``ids[offsets[i]:offsets[i + 1]]``; int64, one longer than the texts."""
    pad_token_id: int
    """Token that fills short texts of a batch."""
    type_ids: Int[np.ndarray, " token"] | None = None
    """0 for tokens of the first text of a pair, 1 for those of the second, int8; ``None`` where
    texts are single or the model knows no types."""
    answer_starts: Int[np.ndarray, " text"] | None = None
    """Position in each text of the first token that the model is to write, int32; ``None`` where
    texts are classified."""
    questions: Int[np.ndarray, "text 2"] | None = None
    """Where in each text what is asked begins and ends, without what a layout puts around it,
    int32; ``None`` where texts are classified."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Int[np.ndarray, " text"]:
        """Tokens of each text."""
        return np.diff(self.offsets)

    @property
    def answer_lengths(self) -> Int[np.ndarray, " text"] | None:
        """Tokens of each text that the model is to write; ``None`` where texts are classified."""
        return None if self.answer_starts is None else self.lengths - self.answer_starts

    def pad_batch(
        self, indices: Sequence[int] | Int[np.ndarray, " text"]
    ) -> tuple[Int[torch.Tensor, "text token"], Int[torch.Tensor, "text token"]]:
        """Return ids and mask (1 text, 0 padding on the right), as long as the longest text.

        Raises
        ------
        ValueError
            No text is asked for.
        """
        mask = self._mask(indices)
        ids = self._pad(self.ids, indices, mask, fill=self.pad_token_id)
        return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))

    def pad_types(
        self, indices: Sequence[int] | Int[np.ndarray, " text"]
    ) -> Int[torch.Tensor, "text token"] | None:
        """Return the token types of :meth:`pad_batch`, 0 for padding; ``None`` without types."""
        if self.type_ids is None:
            return None
        return torch.from_numpy(self._pad(self.type_ids, indices, self._mask(indices), fill=0))

    def pad_answers(
        self, indices: Sequence[int] | Int[np.ndarray, " text"]
    ) -> Int[torch.Tensor, "text token"]:
        """Return the tokens of :meth:`pad_batch` that the model is to write, else ``NO_LABEL``.

        Raises
        ------
        ValueError
            The texts have no answers.
        """
        if self.answer_starts is None:
            msg = "indices: texts that are classified have no answer"
            raise ValueError(msg)
        mask = self._mask(indices)
        ids = self._pad(self.ids, indices, mask, fill=NO_LABEL)
        starts = self.answer_starts[np.asarray(indices)]
        ids[np.arange(ids.shape[1]) < starts[:, None]] = NO_LABEL
        return torch.from_numpy(ids)

    def prompt_and_answer(self, index: int) -> tuple[list[int], list[int]]:
        """Return the tokens that a model reads and those that it is to write.

        Raises
        ------
        ValueError
            The texts have no answers.
        """
        if self.answer_starts is None:
            msg = "index: texts that are classified have no answer"
            raise ValueError(msg)
        tokens = self.ids[self.offsets[index] : self.offsets[index + 1]].tolist()
        start = int(self.answer_starts[index])
        return tokens[:start], tokens[start:]

    def question(self, index: int) -> list[int]:
        """Return the tokens of what is asked, without those of its layout where it has one.

        Raises
        ------
        ValueError
            The texts have no answers.
        """
        if self.questions is None:
            return self.prompt_and_answer(index)[0]
        begin, end = (self.offsets[index] + bound for bound in self.questions[index])
        found: list[int] = self.ids[begin:end].tolist()
        return found

    def _mask(self, indices: Sequence[int] | Int[np.ndarray, " text"]) -> Bool[np.ndarray, "..."]:
        rows = np.asarray(indices, dtype=np.int64)
        if rows.size == 0:
            msg = "indices: must name at least 1 text, got none"
            raise ValueError(msg)
        lengths = self.lengths[rows]
        return np.arange(lengths.max()) < lengths[:, None]

    def _pad(
        self,
        values: Int[np.ndarray, " token"],
        indices: Sequence[int] | Int[np.ndarray, " text"],
        mask: Bool[np.ndarray, "text token"],
        *,
        fill: int,
    ) -> Int[np.ndarray, "text token"]:
        padded = np.full(mask.shape, fill, dtype=np.int64)
        padded[mask] = np.concatenate(
            [values[self.offsets[row] : self.offsets[row + 1]] for row in indices]
        )
        return padded


def tokenize_table(table: TextTable, backbone: Backbone) -> TokenTable:
    """Turn a table into ids with the model's own tokenizer, cut at its ``max_tokens``.

    Raises
    ------
    fl.problems.ModelError
        The tokenizer does not know what the texts are written in, or gives ids that the model has
        no embedding for.
    ValueError
        As :func:`tokenize_with` or :func:`tokenize_answers`.
    """
    tokenizer = backbone.tokenizer
    check_known(tokenizer, table.texts, name=backbone.name)
    options = {"max_tokens": backbone.max_tokens, "pad_token_id": backbone.pad_token_id}
    if table.responses is None:
        has_types = backbone.facts.num_token_types > 1
        found = tokenize_with(
            tokenizer, table.texts, pairs=table.pairs, has_types=has_types, **options
        )
    else:
        check_known(tokenizer, table.responses, name=backbone.name)
        prompts = ["\n".join(filter(None, each)) for each in table.inputs]
        found = tokenize_answers(tokenizer, prompts, table.responses, chat=backbone.chat, **options)
    largest, size = int(found.ids.max(initial=0)), backbone.facts.vocabulary_size
    if largest >= size:
        msg = (
            f"model.name: the tokenizer of {backbone.name!r} gives token ids up to {largest} "
            f"({tokenizer.convert_ids_to_tokens(largest)!r}), the model has embeddings for ids "
            f"below {size}; is tokenizer.json that of this model?"
        )
        raise ModelError(msg)
    return found


def check_known(
    tokenizer: transformers.PreTrainedTokenizerBase, texts: Sequence[str], *, name: str
) -> None:
    """Refuse a tokenizer that leaves out, or does not know, much of some texts.

    Counted are the characters of up to :data:`NUM_CHECKED` texts, spread evenly, that no token
    covers or an unknown one does; blanks do not count.

    Raises
    ------
    fl.problems.ModelError
        Less than :data:`MIN_KNOWN` of the characters are known.
    """
    some = [texts[index] for index in range(0, len(texts), -(-len(texts) // NUM_CHECKED) or 1)]
    some = [text[:MAX_CHECKED_CHARACTERS] for text in some]
    if not some:
        return
    encoded = tokenizer(some, add_special_tokens=False, return_offsets_mapping=True)
    num_known = num_all = 0
    for text, ids, offsets in zip(
        some, encoded["input_ids"], encoded["offset_mapping"], strict=True
    ):
        is_known = np.zeros(len(text), dtype=bool)
        for token, (start, end) in zip(ids, offsets, strict=True):
            is_known[start:end] |= token != tokenizer.unk_token_id
        is_ink = np.array([not character.isspace() for character in text], dtype=bool)
        num_known += int((is_known & is_ink).sum())
        num_all += int(is_ink.sum())
    if num_known < MIN_KNOWN * num_all:
        msg = (
            f"model.name: the tokenizer of {name!r} knows {100 * num_known / num_all:.0f} % of the "
            f"characters of {len(some)} texts, at least {100 * MIN_KNOWN:.0f} % are needed; is "
            "tokenizer.json that of this model, and are the texts in its language?"
        )
        raise ModelError(msg)


def tokenize_with(
    tokenizer: transformers.PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    max_tokens: int,
    pad_token_id: int,
    pairs: Sequence[str] | None = None,
    has_types: bool = True,
) -> TokenTable:
    """Turn texts, or pairs of texts, into ids with any fast tokenizer of transformers.

    The longer text of a pair is cut first. Its tokens get types where both the model has them
    (``has_types``) and the tokenizer says that its model takes them.

    Raises
    ------
    ValueError
        A text gives no token at all, so that no class score could be computed for it.
    """
    if not len(texts):
        return _flat([], pad_token_id=pad_token_id)
    encoded = tokenizer(
        list(texts),
        None if pairs is None else list(pairs),
        truncation=True,
        max_length=max_tokens,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=(
            has_types and pairs is not None and "token_type_ids" in tokenizer.model_input_names
        ),
    )
    rows = encoded["input_ids"]
    if empty := [index for index, row in enumerate(rows) if not row]:
        msg = f"texts: every text must give at least 1 token, got none for {texts[empty[0]]!r}"
        raise ValueError(msg)
    return _flat(rows, types=encoded.get("token_type_ids"), pad_token_id=pad_token_id)


def tokenize_answers(
    tokenizer: transformers.PreTrainedTokenizerBase,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    max_tokens: int,
    pad_token_id: int,
    chat: ChatLayout | None = None,
) -> TokenTable:
    """Turn prompts and answers into ids: prompt, new line, answer, end of text; or as a dialogue.

    A text that is too long loses the end of its prompt as long as the prompt, what its layout puts
    around it included, has more than half of the tokens, then the end of its answer [our choice].
    What parts prompt and answer stays. In a dialogue, both lose blanks at their ends.

    Raises
    ------
    ValueError
        A prompt or an answer gives no token.
    fl.problems.ModelError
        The layout of a dialogue leaves no room for a prompt.
    """
    if not len(prompts):
        return _flat([], starts=[], questions=[], pad_token_id=pad_token_id)
    answers = list(answers) if chat is None else [answer.strip() for answer in answers]
    tails = tokenizer(answers, add_special_tokens=False)["input_ids"]
    last = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    rooms = [max(max_tokens // 2, max_tokens - len(tail) - len(last)) for tail in tails]
    if chat is None:
        heads = _one_under_the_other(tokenizer, prompts, rooms=rooms)
    else:
        heads = chat.prompts(tokenizer, prompts, rooms=rooms, max_tokens=max_tokens)
    for prompt, (_, (begin, end)), tail in zip(prompts, heads, tails, strict=True):
        if begin == end or not tail:
            msg = (
                f"texts: prompt and answer must each give at least 1 token, got none in {prompt!r}"
            )
            raise ValueError(msg)
    return _flat(
        [[*head, *tail, *last][:max_tokens] for (head, _), tail in zip(heads, tails, strict=True)],
        starts=[len(head) for head, _ in heads],
        questions=[bounds for _, bounds in heads],
        pad_token_id=pad_token_id,
    )


def _one_under_the_other(
    tokenizer: transformers.PreTrainedTokenizerBase, prompts: Sequence[str], *, rooms: Sequence[int]
) -> list[Row]:
    """Return begin of text, prompt and new line of each text; the prompt is cut to its room.

    The new line stays: without it a model would not know where its answer begins.
    """
    first = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    heads = tokenizer([f"{prompt}\n" for prompt in prompts], add_special_tokens=False)["input_ids"]
    rows = [[*first, *head] for head in heads]
    for index, (prompt, row, room) in enumerate(zip(prompts, rows, rooms, strict=True)):
        if len(row) > room:
            bare = [*first, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
            # What the new line changes; a token of it may hold the end of the prompt as well.
            new_line = row[_num_common(row, bare) :]
            kept = max(len(first) + 1, room - len(new_line))
            rows[index] = [*row[:kept], *new_line][:room]
    return [(row, (min(len(first), len(row)), len(row))) for row in rows]


def _num_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two rows have in common from their begin on."""
    pairs = enumerate(zip(one, other, strict=False))
    ends = min(len(one), len(other))
    return next((at for at, (mine, theirs) in pairs if mine != theirs), ends)


def _flat(
    rows: Sequence[Sequence[int]],
    *,
    pad_token_id: int,
    types: Sequence[Sequence[int]] | None = None,
    starts: Sequence[int] | None = None,
    questions: Sequence[tuple[int, int]] | None = None,
) -> TokenTable:
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def join(values: Sequence[Sequence[int]], kind: type[np.signedinteger[Any]]) -> Any:  # noqa: ANN401
        return np.fromiter((item for row in values for item in row), kind, int(offsets[-1]))

    return TokenTable(
        ids=join(rows, np.int32),
        offsets=offsets,
        pad_token_id=pad_token_id,
        type_ids=None if types is None else join(types, np.int8),
        answer_starts=None if starts is None else np.array(starts, dtype=np.int32),
        questions=(
            None if questions is None else np.array(questions, dtype=np.int32).reshape(-1, 2)
        ),
    )
