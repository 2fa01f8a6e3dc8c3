"""Models on sets of texts: their evaluation jobs, and the sums of scores that come out of them."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int

from fl.execution.executor import JobHandle
from fl.metrics import METRICS
from fl.payload import Tensors
from fl.server.answers import Answer, split_answers
from fl.server.federation import Federation
from fl.training.evaluate import sum_scores
from fl.training.evaluation_shards import joined, shards_of
from fl.training.job import EvaluationJob, EvaluationResult

UNDER_WAY_BYTES = 1 << 30
"""Bytes of the models in jobs that are under way, at which the first of them is waited for [our
choice]; each copy that an executor may make counts."""

Sums = Mapping[str, float]
"""Sums of scores over a set of texts, by name."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came out of one model on one set of texts."""

    sums: Sums
    answers: Sequence[Answer] = ()
    """Those whose text is kept."""


class Scored:
    """One model on several sets of texts: jobs until somebody needs the scores, then these."""

    def __init__(self, jobs: "Sequence[_JobInShards]", *, num_kept: int) -> None:
        self._jobs: Sequence[_JobInShards] = jobs
        self._num_kept = num_kept
        """Answers of each set whose text is kept."""
        self._found: list[Found] | None = None

    def is_ready(self) -> bool:
        """Return whether :attr:`found` waits for no job."""
        return all(handle.is_ready() for job in self._jobs for _, handle in job.shards)

    @property
    def found(self) -> list[Found]:
        """The sums of all scores and what is kept of the answers, set by set; waits for jobs."""
        if self._found is None:
            self._found = self._find()
            self._jobs = ()  # not before: interrupted so far, it is found once more
        return self._found

    def _find(self) -> list[Found]:
        results = [(job.result(), job.sets) for job in self._jobs]
        by_job = [sum_scores(result.scores, [len(s) for s in sets]) for result, sets in results]
        sums = [
            {name: value for of_job in of_set for name, value in of_job.items()}
            for of_set in zip(*by_job, strict=True)
        ]
        kept: list[list[Answer]] = [[] for _ in sums]
        for result, sets in results:
            if result.answers:
                kept = split_answers(result, sets, num_kept=self._num_kept)
        return [Found(*pair) for pair in zip(sums, kept, strict=True)]


@dataclass(frozen=True, slots=True)
class _JobInShards:
    """An evaluation job that was submitted shard by shard."""

    sets: Sequence[Int[np.ndarray, " text"]]
    """Its sets of texts, one after the other."""
    shards: Sequence[tuple[Int[np.ndarray, " row"], JobHandle[EvaluationResult]]]

    def result(self) -> EvaluationResult:
        """Return the result of the whole job."""
        rows, handles = zip(*self.shards, strict=True)
        return joined(rows, [handle.result() for handle in handles])


class Scorer:
    """Submits the evaluation jobs of a federation, for all that it measures.

    Jobs hold their models: where those that are under way are too many bytes, it waits for the
    first ones, so that the models of a pass need not be in memory together.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        asked = [METRICS[name] for name in federation.metrics]
        self.is_written = any(metric.is_written for metric in asked)
        """Whether models write answers."""
        self._is_chosen = any(metric.is_chosen for metric in asked)
        self._is_read = any(not (metric.is_written or metric.is_chosen) for metric in asked)
        self._under_way: deque[tuple[Scored, int]] = deque()
        self._under_way_bytes = 0

    def submit(
        self,
        model: Tensors,
        table: Literal["train", "test"],
        parts: Sequence[Int[np.ndarray, " text"]],
    ) -> Scored:
        """Submit a model on several sets of texts, all sets in one job of each kind."""
        federation, generation = self._federation, self._federation.server.generation
        asked: list[tuple[Sequence[Int[np.ndarray, " text"]], int | None, bool]] = []
        if self._is_read:
            asked.append((parts, None, False))
        if self._is_chosen:
            asked.append((parts, None, True))
        if self.is_written:
            examples = federation.worker.table(table)
            few = [examples.some(part, most=generation.max_texts) for part in parts]
            asked.append((few, generation.max_tokens, False))
        jobs = []
        for sets, max_new_tokens, is_choice in asked:
            job = EvaluationJob(
                model_key=federation.worker.model_key,
                tensors=model,
                table=table,
                samples=np.concatenate(sets),
                batch_size=federation.evaluation_batch_size,
                max_new_tokens=max_new_tokens,
                is_choice=is_choice,
            )
            shards = [
                (shard.rows, federation.executor.submit(shard.job))
                for shard in shards_of(job, federation.worker)
            ]
            jobs.append(_JobInShards(sets, shards))
        scored = Scored(jobs, num_kept=generation.num_kept)
        self._wait(scored, model, num_jobs=sum(len(job.shards) for job in jobs))
        return scored

    def _wait(self, scored: Scored, model: Tensors, *, num_jobs: int) -> None:
        """Wait for the first models under way if they are too many with this one."""
        # Jobs that run elsewhere, at once, are sent there one by one.
        num_copies = num_jobs if self._federation.executor.runs_ahead else 1
        num_bytes = num_copies * sum(value.nbytes for value in model.values())
        self._under_way.append((scored, num_bytes))
        self._under_way_bytes += num_bytes
        while self._under_way_bytes > UNDER_WAY_BYTES and len(self._under_way) > 1:
            first, first_bytes = self._under_way.popleft()
            _ = first.found
            self._under_way_bytes -= first_bytes
