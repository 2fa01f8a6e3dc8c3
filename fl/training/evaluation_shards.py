"""An evaluation in shards: parts of a job that are the same whoever runs them, and how many do.

A shard is some whole batches of the job, so scores are those of the job as a whole, to the bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from fl.training.evaluate import batches_of
from fl.training.job import EvaluationJob, EvaluationResult
from fl.training.local_work import LocalWork
from fl.training.worker import Worker

SHARD_BATCHES = 4
"""Batches of a shard [our choice]; one where answers are written, which takes far longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Part of an evaluation job."""

    job: EvaluationJob
    rows: Int[np.ndarray, " row"]
    """Which of the texts of the whole job it evaluates."""


def shards_of(job: EvaluationJob, worker: Worker[LocalWork]) -> list[Shard]:
    """Cut a job into shards.

    Parameters
    ----------
    job
        The whole.
    worker
        Whose texts it is about; nothing is run.

    Returns
    -------
    list of Shard
        At least one; together they have every text once, short ones first.
    """
    batches = list(batches_of(job, worker))
    size = SHARD_BATCHES if job.max_new_tokens is None else 1
    parts = [np.concatenate(batches[at : at + size]) for at in range(0, len(batches), size)]
    if not parts:
        return [Shard(job=job, rows=np.arange(0))]
    return [Shard(job=replace(job, samples=job.samples[rows]), rows=rows) for rows in parts]


def joined(
    rows: Sequence[Int[np.ndarray, " row"]], results: Sequence[EvaluationResult]
) -> EvaluationResult:
    """Return the result of a job from those of its shards.

    Parameters
    ----------
    rows
        Of each shard, as :class:`Shard` has them.
    results
        Of each shard, in the same order.
    """
    every = np.concatenate(rows)
    back = np.empty_like(every)
    back[every] = np.arange(len(every))
    scores = {
        name: np.concatenate([result.scores[name] for result in results])[back]
        for name in results[0].scores
    }
    written = [answer for result in results for answer in result.answers]
    answers = tuple(written[place] for place in back) if written else ()
    return EvaluationResult(scores=scores, answers=answers)
