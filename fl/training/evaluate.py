"""Evaluation off the clock: scores of texts, of which metrics are made."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from fl.models.language import LanguageModel
from fl.models.rouge import rouge_l
from fl.payload import Tensors
from fl.training.batches import Examples
from fl.training.local_work import LocalWork
from fl.training.worker import Worker

Scores = Mapping[str, Float[np.ndarray, " text"]]
"""What metrics are summed from, by name: one number a text."""


def score_texts(
    tensors: Tensors,
    worker: Worker[LocalWork],
    *,
    examples: Examples,
    indices: Int[np.ndarray, " text"],
    batch_size: int,
) -> Scores:
    """Score each text, in the order asked for.

    Texts are batched by length, so little is padded; the scores of a text do not depend on its
    batch but for their last bits.
    """
    worker.load(tensors)
    scores: dict[str, Float[np.ndarray, " text"]] = {}
    with torch.inference_mode():
        for rows in _by_length(examples, indices, batch_size=batch_size):
            for name, values in worker.module.score(examples.batch(indices[rows])).items():
                scores.setdefault(name, np.empty(len(indices)))[rows] = values.numpy()
    return scores


def score_writing(
    tensors: Tensors,
    worker: Worker[LocalWork],
    *,
    examples: Examples,
    indices: Int[np.ndarray, " text"],
    batch_size: int,
    num_tokens: int,
) -> Scores:
    """Let the model write an answer to each prompt, and compare it with the true one.

    Parameters
    ----------
    num_tokens
        Most tokens of an answer; a true answer is compared as a whole.

    Returns
    -------
    Scores
        ``rouge_l`` in [0, 1], and ``written``, which is 1.

    Raises
    ------
    TypeError
        If the model writes no text.
    """
    module, tokenizer = worker.module, worker.tokenizer
    if not isinstance(module, LanguageModel) or tokenizer is None:
        msg = f"module: must be a language model with a tokenizer, got {type(module).__name__}"
        raise TypeError(msg)
    worker.load(tensors)
    found, wanted = [""] * len(indices), [""] * len(indices)
    with torch.inference_mode():
        for rows in _by_length(examples, indices, batch_size=batch_size):
            prompts, answers = zip(
                *(examples.tokens.prompt_and_answer(int(index)) for index in indices[rows]),
                strict=True,
            )
            written = module.write(
                list(prompts),
                num_tokens=num_tokens,
                stop_id=tokenizer.eos_token_id,
                pad_id=examples.tokens.pad_token_id,
            )
            for row, own, true in zip(rows, written, answers, strict=True):
                found[row] = tokenizer.decode(own, skip_special_tokens=True)
                wanted[row] = tokenizer.decode(true, skip_special_tokens=True)
    values = [rouge_l(*pair) for pair in zip(found, wanted, strict=True)]
    return {"rouge_l": np.array(values), "written": np.ones(len(indices))}


def sum_scores(scores: Scores, parts: Sequence[int]) -> list[dict[str, float]]:
    """Add up scores of texts that lie one part after the other, parts of the given sizes."""
    ends = np.cumsum(parts)[:-1]
    split = {name: np.split(values, ends) for name, values in scores.items()}
    return [
        {name: float(pieces[part].sum()) for name, pieces in split.items()}
        for part in range(len(parts))
    ]


def _by_length(
    examples: Examples, indices: Int[np.ndarray, " text"], *, batch_size: int
) -> Iterator[Int[np.ndarray, " row"]]:
    """Give rows of ``indices`` batch by batch, short texts first."""
    order = np.argsort(examples.tokens.lengths[indices], kind="stable")
    return (order[at : at + batch_size] for at in range(0, len(order), batch_size))
