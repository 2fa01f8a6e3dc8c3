"""Texts of answers that are kept beside the metrics made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from fl.rows import AnswerRow
from fl.training.job import EvaluationResult
from fl.training.local_work import LocalWork
from fl.training.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model wrote to one prompt."""

    text_id: int
    """Row of the table that the prompt stands in."""
    text: str
    helpfulness: float | None
    safety: float | None


def split_answers(
    result: EvaluationResult, sets: Sequence[Int[np.ndarray, " text"]], *, num_kept: int
) -> list[list[Answer]]:
    """Return the first answers to each set of prompts, sets one after the other in the result."""
    helpfulness, safety = (result.scores.get(name) for name in ("helpfulness", "safety"))
    kept, first = [], 0
    for texts in sets:
        kept.append(
            [
                Answer(
                    text_id=int(texts[index]),
                    text=result.answers[first + index],
                    helpfulness=None if helpfulness is None else float(helpfulness[first + index]),
                    safety=None if safety is None else float(safety[first + index]),
                )
                for index in range(min(num_kept, len(texts)))
            ]
        )
        first += len(texts)
    return kept


def answer_rows(
    answers: Sequence[Answer],
    worker: Worker[LocalWork],
    *,
    round_id: int,
    at_s: float,
    client_id: int | None,
) -> list[AnswerRow]:
    """Return the rows of some answers, with their prompts as text."""
    table = worker.table("test" if client_id is None else "train").tokens
    return [
        AnswerRow(
            round=round_id,
            at_s=at_s,
            client_id=client_id,
            text_id=answer.text_id,
            prompt=worker.decode(table.question(answer.text_id)),
            answer=answer.text,
            helpfulness=answer.helpfulness,
            safety=answer.safety,
        )
        for answer in answers
    ]
