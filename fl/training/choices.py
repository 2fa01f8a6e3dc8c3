"""Multiple choice with a language model: the answer of lowest loss, mean over its tokens.

The choices of a text are the distinct answers of all texts, or of those of its own natural domain
where the data has any: as in the authors' protocol of FedAMoLE for classes that are put in words.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from fl.models.batch import NO_LABEL, Batch
from fl.models.language import LanguageModel
from fl.training.batches import Examples

MAX_CHOICES = 20
"""Most distinct answers that are choices [our choice]; more are free text."""

Answer = tuple[int, ...]
"""Tokens of an answer, the end of text included."""
Choices = dict[int, tuple[Answer, ...]]
"""Choices of each natural domain, sorted; of all texts under 0 where there are none."""


def find_choices(*tables: Examples) -> Choices:
    """Return the distinct answers of some tables, domain by domain.

    Raises
    ------
    ValueError
        One line: a domain has one answer only, or more than :data:`MAX_CHOICES`.
    """
    found: dict[int, set[Answer]] = {}
    for table in tables:
        for index in range(len(table.labels)):
            answer = tuple(table.tokens.prompt_and_answer(index)[1])
            found.setdefault(_domain_of(table, index), set()).add(answer)
    for answers in found.values():
        if not 2 <= len(answers) <= MAX_CHOICES:
            where = "a natural domain" if len(found) > 1 else "the data"
            msg = (
                f"server.metrics: choice_accuracy needs 2 to {MAX_CHOICES} distinct answers in "
                f"each natural domain, or in all texts, got {len(answers)} in {where}"
            )
            raise ValueError(msg)
    return {domain: tuple(sorted(answers)) for domain, answers in found.items()}


def choose(
    module: LanguageModel,
    examples: Examples,
    samples: Int[np.ndarray, " text"],
    *,
    choices: Choices,
    batch_size: int,
    max_tokens: int,
) -> dict[str, Float[np.ndarray, " text"]]:
    """Choose an answer to each prompt and compare it with the true one.

    Parameters
    ----------
    module
        Language model in evaluation mode.
    examples, samples
        Texts and which of them.
    choices
        From :func:`find_choices`.
    batch_size
        Prompts with one choice each in a batch, about.
    max_tokens
        Longest text; a prompt that is too long for it beside a choice loses its beginning.

    Returns
    -------
    dict
        ``chosen_right``, 1 where the choice of lowest loss is the text's own answer, else 0, and
        ``chosen``, which is 1.
    """
    is_right = np.zeros(len(samples))
    for rows in choice_batches(examples, samples, choices=choices, batch_size=batch_size):
        texts: list[tuple[list[int], Answer]] = []
        of_row: list[tuple[Answer, ...]] = []
        for row in rows:
            index = int(samples[row])
            prompt = examples.tokens.prompt_and_answer(index)[0]
            own = choices[_domain_of(examples, index)]
            room = max_tokens - max(map(len, own))
            texts += [(prompt[-max(room, 1) :], answer) for answer in own]
            of_row.append(own)
        batch = _batch(texts, pad_id=examples.tokens.pad_token_id).to(examples.device)
        scores = module.score(batch)
        losses = (scores["nats"] / scores["tokens"]).numpy()
        ends = np.cumsum([len(own) for own in of_row])
        for row, own, of_text in zip(rows, of_row, np.split(losses, ends[:-1]), strict=True):
            true = tuple(examples.tokens.prompt_and_answer(int(samples[row]))[1])
            is_right[row] = own[int(of_text.argmin())] == true
    return {"chosen_right": is_right, "chosen": np.ones(len(samples))}


def _domain_of(table: Examples, index: int) -> int:
    return 0 if table.domains is None else int(table.domains[index])


def choice_batches(
    examples: Examples,
    samples: Int[np.ndarray, " text"],
    *,
    choices: Choices,
    batch_size: int,
) -> Iterator[list[int]]:
    """Yield rows of ``samples`` whose choices together are about a batch, short texts first."""
    order = np.argsort(examples.tokens.lengths[samples], kind="stable")
    rows: list[int] = []
    size = 0
    for row in order.tolist():
        num_own = len(choices[_domain_of(examples, int(samples[row]))])
        if rows and size + num_own > batch_size:
            yield rows
            rows, size = [], 0
        rows.append(row)
        size += num_own
    if rows:
        yield rows


def _batch(texts: Sequence[tuple[list[int], Answer]], *, pad_id: int) -> Batch:
    """Return prompts with an answer each, padded on the right to the longest."""
    longest = max(len(prompt) + len(answer) for prompt, answer in texts)
    ids = torch.full((len(texts), longest), pad_id, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, NO_LABEL)
    for row, (prompt, answer) in enumerate(texts):
        start, end = len(prompt), len(prompt) + len(answer)
        ids[row, :end] = torch.tensor([*prompt, *answer])
        labels[row, start:end] = torch.tensor(answer)
        mask[row, :end] = 1
    return Batch(input_ids=ids, attention_mask=mask, labels=labels)
